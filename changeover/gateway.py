"""The gateway's files: one nginx for all systems of an edge host, a server file and a slot directory per system.

Slots: `slots/<system>/live` is a symlink to a generation directory that holds one empty file `<service>.<slot>` per
switched service. Renaming the symlink is the switch; nginx tests for the file with each request (facts: 0 failed of
20,297 requests over 38 switches, where a plain reload loses POSTs on keep-alive connections).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from changeover import certificates, early
from changeover.files import Directory, File, render
from changeover.fleet import Plan
from changeover.live import BLUE, GREEN, other
from changeover.routes import open_paths
from changeover.secrets import Secrets
from changeover.settings import App, System, Tls
from changeover.settings_steps import ALL
from changeover.stack import http_probe
from changeover.words import whole_seconds

CONF = "/etc/nginx/changeover"
SLOTS = "/etc/nginx/slots"
STICKY = 30 * 86400  # seconds that a client keeps its part of a hundred: a year would make the same ones always first


@dataclass(frozen=True)
class Upstream:
    """A named group of host:port that nginx spreads requests over."""

    name: str
    servers: list[str]
    counts: bool = True  # a failure keeps nginx from asking that server for a while


def systems(plan: Plan, host: str) -> list[str]:
    """Systems that a gateway serves, whatever this run is limited to: the main file lists them all."""
    return plan.served_by(host)


def files(plan: Plan, host: str, plain: Collection[str] = (), secrets: Secrets | None = None) -> list[File]:
    """nginx.conf, the headers, a server file per system, certificates and keys, what chosen users send.

    Arguments: the plan; the host; systems that are served without HTTPS for now, as they have no certificate yet;
    where secrets come from, where users are chosen. Raises OSError when a certificate cannot be read.
    """
    gateway = plan.fleet.gateway
    common = {"gateway": gateway, "conf": CONF, "slots": SLOTS}
    base = f"{gateway.run_dir}/conf"
    result = [
        File(f"{base}/nginx.conf", render("nginx/nginx.conf.j2", keepalive=whole_seconds(gateway.keepalive), **common)),
        File(f"{base}/proxy_headers.conf", render("nginx/proxy_headers.conf.j2")),
    ]
    for name in systems(plan, host):
        system = plan.systems[name]
        result.append(File(f"{base}/servers/{name}.conf", server(plan, name, common, name in plain)))
        if isinstance(system.tls, Tls):
            result.append(File(f"{base}/tls/{name}.crt", Path(system.tls.certificate).read_text()))
            result.append(File(f"{base}/tls/{name}.key", Path(system.tls.key).read_text(), mode="600"))
        if chosen := early.chosen(system):
            assert secrets, "whoever writes the gateway's files knows the secrets"
            sent = [(value, chosen[who]) for who, value in early.values(plan, name, secrets).items()]
            result.append(File(f"{base}/early/{name}.conf", render("nginx/early.conf.j2", early=sent), mode="600"))
    return result


def directories(plan: Plan, host: str) -> list[Directory]:
    """The folders of the files and of each system's slots."""
    base = plan.fleet.gateway.run_dir
    own = [f"{base}/slots/{name}" for name in systems(plan, host)]
    served = [plan.systems[name] for name in systems(plan, host)]
    if certificates.systems(plan, host):
        own.append(certificates.webroot(plan))
    return [
        Directory(base),
        *(Directory(f"{base}/{part}") for part in ("conf", "conf/servers", "slots")),
        Directory(f"{base}/conf/tls", mode="700"),
        *([Directory(f"{base}/conf/early", mode="700")] if any(early.chosen(s) for s in served) else []),
        *map(Directory, own),
    ]


def compose(plan: Plan) -> File:
    """The gateway's compose file."""
    gateway = plan.fleet.gateway
    probe = http_probe(f"http://127.0.0.1:{gateway.http_port}/nginx-health", 5)
    return File(
        f"{gateway.run_dir}/compose.yaml",
        render(
            "nginx/compose.yaml.j2",
            gateway=gateway,
            image=image(plan),
            cpu_shares=max(2, round(1024 * gateway.cpus_reserve)),
            run_dir=gateway.run_dir,
            conf=CONF,
            slots=SLOTS,
            health=["CMD-SHELL", probe],
        ),
    )


def server(plan: Plan, name: str, common: dict[str, Any], plain: bool = False) -> str:
    """The server file of a system: its upstreams, one per slot, and its routes; `plain`: without HTTPS for now."""
    system = plan.systems[name]
    apps = {key: s for key, s in system.services.items() if isinstance(s, App) and s.routes}
    routes = _routes(name, system, apps)
    upstreams = [u for key, app in apps.items() for u in _upstreams(plan, name, key, app)]
    aside = {route["service"] for route in routes if route["open"] or route["assets"] and route["slotted"]}
    # Whoever asks for health or old assets while a slot is stopped must not be why users get 502 when it is back.
    upstreams += [
        Upstream(f"{one.name}_aside", one.servers, counts=False)
        for key in apps
        if key in aside
        for one in _upstreams(plan, name, key, apps[key])
    ]
    return render(
        "nginx/server.conf.j2",
        system=name,
        domain=system.domain,
        tls=None if plain else system.tls,
        challenges=f"{SLOTS}/{certificates.CHALLENGES}" if system.tls == "acme" else "",
        upstreams=upstreams,
        upstream_keepalive=whole_seconds(plan.fleet.gateway.upstream_keepalive),
        slotted={key: _marks(plan, name, key) for key, app in apps.items() if app.slots},
        parts=_lines(("*" if part == 99 else "1%", part) for part in range(100)),
        steps=_lines((part, percent) for percent, parts in _steps(system) for part in parts),
        sticky=sticky(name),
        sticky_age=STICKY,
        chosen=bool(early.chosen(system)),
        early_cookie=early.cookie(name),
        early_header=early.HEADER.lower().replace("-", "_"),
        routes=routes,
        routes_everything=any("/" in app.routes for app in apps.values()),
        **common,
    )


def _upstreams(plan: Plan, system: str, key: str, app: App) -> list[Upstream]:
    addresses = [host.address for host in plan.hosts_of(system, key)]
    if not app.slots:
        return [Upstream(f"{system}_{key}", [f"{a}:{app.publish}" for a in addresses])]
    ports = {BLUE: app.slots.blue, GREEN: app.slots.green}
    whole = [Upstream(f"{system}_{key}_{slot}", [f"{a}:{port}" for a in addresses]) for slot, port in ports.items()]
    hosts = [host.address for host in plan.turns(system) if host.address in addresses]
    mixed = [
        Upstream(
            f"{system}_{key}_{slot}{ahead}",
            [f"{host}:{ports[slot if turn < ahead else other(slot)]}" for turn, host in enumerate(hosts)],
        )
        for slot in ports
        for ahead in _mixes(plan, system, key)
    ]
    return whole + mixed


def _mixes(plan: Plan, system: str, key: str) -> range:
    """How many of its hosts may be ahead in the middle of a rolling release."""
    return range(1, len(plan.hosts_of(system, key)) if plan.systems[system].release.strategy == "rolling" else 1)


def _marks(plan: Plan, system: str, key: str) -> list[tuple[str, str]]:
    """What the host command may mark as live, and the slot whose assets pages of the other release ask for."""
    slots = [(slot, other(slot)) for slot in (BLUE, GREEN)]
    return [*slots, *((f"{slot}{n}", rest) for slot, rest in slots for n in _mixes(plan, system, key))]


def sticky(system: str) -> str:
    """The name of the cookie that keeps a client's part of a hundred, while weighted steps are declared."""
    return f"changeover_step_{system}"


def _steps(system: System) -> list[tuple[int, range]]:
    """(percentage, the parts of a hundred that come with it) of each step below 100."""
    percents = [step.who.percent for step in system.release.steps if step.who.percent < ALL]
    return [(percent, range(before, percent)) for before, percent in zip([0, *percents], percents, strict=False)]


def _lines(pairs: Iterable[tuple[Any, int]]) -> list[str]:
    """Pairs as nginx reads them, ten a line."""
    words = [f"{one} {other};" for one, other in pairs]
    return [" ".join(words[at : at + 10]) for at in range(0, len(words), 10)]


def _routes(name: str, system: System, apps: dict[str, App]) -> list[dict[str, Any]]:
    routes: list[dict[str, Any]] = []
    taken = {path.rstrip("/") for app in apps.values() for path in app.routes}  # a location may be there once only
    for key, app in apps.items():
        for path, route in app.routes.items():
            prefix = path.rstrip("/")
            # /api must not catch /apix: the path itself, and all below it
            below = [f"{prefix}/"] if route.strip else [f"= {prefix}", f"{prefix}/"]
            routes.append(
                {
                    "service": key,
                    "slotted": bool(app.slots),
                    "prefix": prefix,
                    "matches": below if prefix else ["/"],
                    "upstream": f"{name}_{key}_${key}_slot" if app.slots else f"{name}_{key}",
                    "health": f"{name}_{key}_${{{key}_slot}}_aside" if app.slots else f"{name}_{key}_aside",
                    "other": f"{name}_{key}_${{{key}_other}}_aside",
                    "strip": route.strip and bool(prefix),
                    "timeout": whole_seconds(route.timeout),
                    "max_body": route.max_body,
                    "upload": None if route.websocket else whole_seconds(route.upload),
                    "websocket": route.websocket,
                    "assets": route.assets,
                    "open": [path for path in open_paths(app, path, route) if path not in taken],
                }
            )
            taken.update(routes[-1]["open"])
    return routes


def image(plan: Plan) -> str:
    """The gateway's image, placeholders filled in."""
    return plan.fleet.gateway.image.format(registry=plan.fleet.registry, mirror=plan.fleet.mirror)


def check_command(plan: Plan) -> list[str]:
    """nginx's own check of a configuration in the folder `{}`, in a container without network."""
    mount = f"{{}}:{CONF}:ro"
    test = ["nginx", "-t", "-q", "-c", f"{CONF}/nginx.conf"]
    label = "com.docker.compose.project=gateway"  # what an interrupted check leaves is seen as the gateway's
    return ["docker", "run", "--rm", "--label", label, "--network", "none", "-v", mount, image(plan), *test]
