"""This run: the checked plan, the secrets, what is live, and the guards that pyinfra lacks.

config.py calls install(). All hosts' merged data is validated in pyinfra's own `state.init`, after the inventory is
read and before anything connects; facts/pyinfra.md lists the exit codes that would otherwise be 0.
"""

from __future__ import annotations

import fnmatch
import getpass
import secrets as random
import shlex
import signal
import socket
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import click
from gevent.lock import Semaphore
from pyinfra import inventory
from pyinfra.api.exceptions import PyinfraError
from pyinfra.context import ctx_config, ctx_state

from changeover import early, fleet, stack
from changeover import secrets as secret_values
from changeover.live import Live, parse
from changeover.problems import SettingsError, nearest
from changeover.secrets import Mask, Secrets
from changeover.stack import wanted_release
from changeover.strategy import Strategy, strategy
from changeover.texts import broken
from facts.compose import SlotConfigs
from facts.host import SystemState, state_path
from operations import command_line, flow, masking, tls_files

_plan: fleet.Plan | None = None
_secrets: Secrets | None = None
_live: dict[str, Live] = {}
_instead: dict[str, str] = {}
_mask: Mask = Mask(())
_dry = False
_files: list[Path] = []
_lock = Semaphore()
AT_WORK = 60  # seconds that a change which hosts make by themselves may take to be written down everywhere
ALONE = ("preflight.py", "secure.py")  # what a person runs to have hosts exactly as the settings say
_TXN = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{random.token_hex(3)}"


def install() -> None:
    """Sets the guards. Called once, by config.py, before the inventory is loaded."""
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))  # pyinfra's own handler exits 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    context = click.get_current_context(silent=True)
    if context:
        global _dry, _files
        _refuse(context.params)
        flow.INVENTORY.append(shlex.quote(str(context.params.get("inventory"))))
        _files = [Path(str(word)) for word in context.params.get("operations") or ()]
        _dry = bool(context.params.get("dry"))
        if command_line.reads(context.params):
            ctx_config.get().FAIL_PERCENT = 100  # who is away is told, and the others are asked all the same
    state = ctx_state.get()
    original = state.init

    def init(inventory: Any, config: Any, initial_limit: Any = None) -> None:
        original(inventory, config, initial_limit=initial_limit)
        _named(inventory, context.params if context else {})
        _check(inventory, initial_limit)
        if context and not context.params.get("dry") and (lines := command_line.partial(context.params, plan().run)):
            refuse(*lines)
        if context:
            from operations import recorder, terminal

            recorder.start(state, context.params)
            terminal.start(state, context.params)  # after it: what is registered last for the end comes first

    state.init = init


def _refuse(params: dict[str, Any]) -> None:
    if lines := command_line.refused(params):
        refuse(*lines)


def refuse(*lines: str) -> NoReturn:
    """Ends the run before anything is changed, with these lines and exit code 1."""
    click.echo("\n".join(lines), err=True)
    sys.exit(1)


def _named(hosts: Any, params: dict[str, Any]) -> None:
    """A host or group of --limit or --exclude that is none: pyinfra goes on with those that are."""
    known = {name for host in hosts for name in (host.name, *host.groups)}
    for option in ("limit", "exclude"):
        for word in params.get(option) or ():
            if not fnmatch.filter(known, word):
                refuse(f"error  --{option} {word}: no such host or group{nearest(word, known)}")


def _check(hosts: Any, limit: Any) -> None:
    global _plan, _secrets
    if not len(hosts) or limit is not None and not limit:
        refuse("error  no hosts selected; check --limit and the inventory file")
    try:
        files = [file.stem for file in Path("group_data").glob("*.py") if file.stem != "all"]
        data = [(h.name, [g for g in h.groups if g != "all"], h.data.dict()) for h in hosts]
        _plan = fleet.load(data, files=files)
    except SettingsError as error:
        refuse(str(error))
    if limit is not None and _plan.run.release:
        refuse("error  a release goes to all hosts of its system, or to none; leave --limit (or release=) out")
    _secrets = secret_values.of(_plan)
    missing = _secrets.problems(_plan.secrets_wanted()) or [*broken(_plan, _secrets), *early.weak(_plan, _secrets)]
    if missing := [*missing, *tls_files.missing(_plan)]:
        count = f"{len(missing)} error{'s' * (len(missing) > 1)}; nothing was touched"
        refuse(*(f"error  {line}" for line in missing), count)
    _mask_output(_plan, _secrets)


def _mask_output(checked: fleet.Plan, source: Secrets) -> None:
    """From here on nothing that this process prints holds a secret: hosts, containers and errors may say anything."""
    global _mask
    chosen = [name for name, system in checked.systems.items() if early.chosen(system)]
    signed = [value for name in chosen for value in early.values(checked, name, source).values()]
    _mask = Mask([*(source.get(system, name) for system, name in checked.secrets_wanted()), *signed])
    masking.over_all(mask)


def plan() -> fleet.Plan:
    """The checked plan of this run."""
    if _plan is None:
        raise PyinfraError("no settings were loaded; run pyinfra from the repository's root, where config.py is")
    return _plan


def dry() -> bool:
    """Whether this run only plans."""
    return _dry


def alone() -> bool:
    """Whether this run was given the phase of the hosts themselves, and not a deploy that it is a part of."""
    return bool(_files) and all(file.parent.name == "phases" and file.name in ALONE for file in _files)


def by_sudo(host: Any) -> bool:
    """Whether a host's commands are run by sudo, and nobody gives it a password."""
    data = host.data
    return bool(data.get("_sudo", ctx_config.get().SUDO)) and not data.get("_sudo_password", None)


def secrets() -> Secrets:
    """Where this run's secrets come from."""
    assert _secrets is not None
    return _secrets


def mask(text: str) -> str:
    """A text without the values of this run's secrets: what hosts print may hold them."""
    return _mask(text)


def live(system: str) -> Live:
    """What is live, as the system's coordinator said at the start of this run (asked once)."""
    with _lock:
        if system not in _live:
            coordinator = plan().coordinator(system).name
            text = inventory.get_host(coordinator).get_fact(SystemState, system=system)
            try:
                _live[system] = _looked_at(system, parse(text))
            except ValueError as error:
                where = f"{coordinator}:{state_path(system)}"
                raise PyinfraError(f"{where}: {error}; look at it, or copy it from another host of {system}") from None
        return _live[system]


def _looked_at(system: str, live: Live) -> Live:
    """The state, and whether what runs has the settings that the data say; asked of each host of the system."""
    stepping = live.weight is not None and live.release.candidate == wanted_release(plan(), system, live)
    if live.release.live is None or stack.new_release(plan(), system, live) and not stepping:
        return live
    found: set[str] = set()
    for member in plan().group(system):
        specs = stack.containers(plan(), system, member.name, live, secrets())
        if any(spec.slot for spec in specs):
            running = inventory.get_host(member.name).get_fact(SlotConfigs, system=system)
            found |= {"strayed"} if stepping and stack.drifted(specs, running, "candidate") else set()
            if not stack.new_release(plan(), system, live):
                found |= {"drifted"} if stack.drifted(specs, running) else set()
    return live.model_copy(update=dict.fromkeys(found, True))


def paused(system: str) -> bool:
    """Whether a deploy had paused at a weighted step when this run began."""
    return _live.get(system, Live()).weight is not None


def stranger(system: str) -> list[str]:
    """Why the coordinator's word on what is live is not taken: another host knows a newer state. Empty when it is."""
    here, coordinator = live(system).seq, plan().coordinator(system).name
    others = [member.name for member in plan().group(system) if member.name != coordinator]
    found = {name: _state(name, system).seq for name in others}
    end = time.monotonic() + AT_WORK
    while max(found.values(), default=0) > here and time.monotonic() < end:
        # what hosts do by themselves (a drain) may be under way: the coordinator writes its own state last
        time.sleep(1)
        here = _state(coordinator, system).seq
    return [
        f"{coordinator}: coordinates {system}, but {name} knows a newer state (seq {seq}, here {here}); list "
        f"the old coordinator first in the inventory, or copy {state_path(system)} from {name}"
        for name, seq in found.items()
        if seq > here
    ]


def _state(name: str, system: str) -> Live:
    return parse(inventory.get_host(name).get_fact(SystemState, system=system))


def known_release(system: str) -> str | None:
    """The release that was live when this run began; None: none, or nobody asked."""
    return _live[system].release.live if system in _live else None


def known_live(system: str) -> Live:
    """What was live when this run began, as far as anybody asked."""
    return _live.get(system, Live())


def was_asked(system: str) -> bool:
    """Whether this run asked what is live of a system."""
    return system in _live


def known_images(system: str) -> dict[str, dict[str, str]]:
    """{release: {service: image}} as it was written down when this run began."""
    return known_live(system).images


def paged(system: str) -> bool:
    """Whether a person had turned the maintenance page on when this run began: users' paths answer 503 then."""
    return bool(known_live(system).maintenance)


def release(system: str) -> str:
    """The release that this run is about."""
    return wanted_release(plan(), system, _live.get(system, Live()))


def txn() -> str:
    """This run's id, as the hosts' journals know it."""
    return _TXN


def actor() -> str:
    """Who runs it: user@machine."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def reason(system: str) -> str:
    """What this run says of itself to whoever meets its lock."""
    why = f": {plan().run.why}" if plan().run.why else ""
    return f"deploy of {release(system)} by {actor()}{why}"


def rolls_out(system: str) -> bool:
    """Whether this run brings a release of the system that is not live."""
    return plan().run.system in (None, system) and stack.rolls_out(plan(), system, live(system))


def systems_with(wanted: Strategy) -> list[str]:
    """Systems that this run takes to another release in this way."""
    return [name for name in plan().systems if rolls_out(name) and strategy(plan(), name, live(name)) == wanted]


def instead(system: str, to: str) -> None:
    """This run is about one system and takes it to this release, whatever the data say: a runbook's way back."""
    _instead.clear()
    _instead[system] = to


def is_instead(system: str) -> bool:
    """Whether a runbook said where this system goes."""
    return system in _instead


def concerned() -> dict[str, str]:
    """{system: release} that this run is about."""
    return dict(_instead) or {name: release(name) for name in plan().systems if plan().run.system in (None, name)}


def moved() -> list[str]:
    """Systems that this run takes from one release to another in their other slots, as it knows when it ends."""
    return [n for n, state in _live.items() if state.release.live not in (None, release(n)) and plan().switched(n)]
