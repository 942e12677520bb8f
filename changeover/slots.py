"""What may not change under a release that serves: the ports of its slots, and that it has slots. Pure."""

from __future__ import annotations

from changeover.live import Live, other
from changeover.plan import Plan
from changeover.settings import App, Slots
from changeover.stack import rolls_out

Ports = dict[str, dict[str, str]]  # container -> {port inside: host port}


def moved(plan: Plan, system: str, host: str, live: Live, ports: Ports) -> list[str]:
    """Why the settings do not fit what serves on a host, each with the way that works; empty when they do.

    Arguments: the plan; names of system and host; what is live; the ports of the slots' containers on the host. The
    gateway knows a slot by its port: with another one it would send users where nobody listens. Behind the maintenance
    page nobody is sent anywhere.
    """
    found: list[str] = []
    if live.maintenance:
        return found
    page = f"sudo changeover maintenance {system} on"
    for name, slots in live.slots.items():
        service = plan.systems[system].services.get(name)
        if not slots.live or not isinstance(service, App):
            continue
        path, now = f"{host}: {system}.services.{name}.slots", _port(ports, name, slots.live)
        if now and not service.slots:
            found.append(
                f"{path}: {name} serves on port {now}, and the settings take its slots away; leave them, or add it "
                f"under another name in the same settings, without {name}, with the maintenance page on ({page})"
            )
        elif now and service.slots and now != _wanted(service.slots, slots.live):
            found.append(
                f"{path}.{slots.live}: {name} serves on port {now}, and the settings say "
                f"{_wanted(service.slots, slots.live)}; write {now} again, and change {other(slots.live)} together "
                f"with a release (--data release=...), {slots.live} with the next; or deploy with the maintenance "
                f"page on ({page})"
            )
        elif service.slots and slots.release(idle := other(slots.live)) and not rolls_out(plan, system, live):
            way = _port(ports, name, idle)
            if way and way != _wanted(service.slots, idle):
                found.append(
                    f"{path}.{idle}: the way back to {slots.release(idle)} is on port {way}, and the settings say "
                    f"{_wanted(service.slots, idle)}; change it together with a release (--data release=...)"
                )
    return found


def _port(ports: Ports, name: str, slot: str) -> str:
    return next(iter(ports.get(f"{name}-{slot}", {}).values()), "")


def _wanted(slots: Slots, slot: str) -> str:
    return str(getattr(slots, slot))
