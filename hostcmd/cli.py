"""From the words of a command line to a verb's answer, its exit code, and the host that must carry it out."""

from __future__ import annotations

import argparse
import errno
import getpass
import io
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

from hostcmd import VERSION, care, clock, durable, history, options, peer, peers, recover, show, strategies, verbs
from hostcmd.site import Site, load, root, systems
from hostcmd.stop import FAILED, OK, PERSON, UNREACHABLE, USAGE, Stop
from hostcmd.taken import Call
from hostcmd.verbs import Answer

FORWARD = 1800.0  # seconds that a forwarded verb may take: starts, drains and stops included
LOCAL = (
    "status",
    "maintenance",
)  # answered from the copy when the coordinator is silent and nothing is changed


def main(
    words: Sequence[str], base: str | None = None, by: str | None = None, forwarded: bool = False
) -> int:
    """Runs the command; its exit code.

    Arguments: the words; the root; who, when another host says so; whether another host sent it here.
    """
    try:
        asked = options.parser().parse_args(words)
    except SystemExit as stop:
        return int(stop.code or 0)
    os.umask(0o022)  # nginx must be able to look into the generations
    if base is None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a terminal that goes away does not stop a switch
    try:
        if asked.verb == "peer":
            return peer.main(words)
        if asked.verb == "recover" and not asked.system:
            return _recover_all(base or root(), asked)
        site = load(base or root(), asked.system)
        if not site.coordinates and asked.verb != "recover":
            if forwarded:  # or two hosts would send it to each other for ever
                fact = f"{site.me} was asked as the coordinator, but its settings say {site.coordinator}"
                raise Stop(PERSON, fact, "run the deploy again: it writes the settings of all hosts")
            return _forward(site, list(words), asked, by)
        answer = carry_out(site, asked, by or _user())
    except Stop as stop:
        return _refuse(stop, asked)
    except PermissionError as error:
        return _refuse(Stop(USAGE, f"{error.filename}: not allowed", "the same with sudo in front"), asked)
    except (OSError, ValueError) as error:
        return _refuse(_failed(error, asked), asked)
    except KeyboardInterrupt:
        return _refuse(
            Stop(FAILED, "interrupted", f"changeover recover {asked.system}   (finishes or undoes)"), asked
        )
    except Exception as error:
        return _refuse(_fault(error, base or root(), asked.system), asked)
    return _say(answer, asked)


def _failed(error: Exception, asked: argparse.Namespace) -> Stop:
    """What the machine refused, where, and the way on."""
    again = f"changeover recover {getattr(asked, 'system', '')}".rstrip()
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        again = f"make room on {socket.gethostname()} (df -h /var/lib/changeover), then: {again}"
    return Stop(FAILED, f"{socket.gethostname()}: {error}", again)


def _fault(error: Exception, base: str, system: str) -> Stop:
    """A fault of this command: its place for people, its trace in a file."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    path = os.path.join(base, "var/lib/changeover/trace.log")
    try:
        durable.write(path, f"{clock.now()} {VERSION}\n{traceback.format_exc()}")
    except OSError:
        path = "nowhere: it could not be written"
    fact = f"a fault in changeover itself: {type(error).__name__} {error} at {place.filename}:{place.lineno}"
    return Stop(PERSON, f"{fact} (trace: {path})", f"changeover recover {system}   (finishes or undoes)")


def captured(base: str, words: Sequence[str], by: str, forwarded: bool = False) -> tuple[int, str, str]:
    """The same for another host: exit code and what it would print."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(words, base, by, forwarded)
    return code, out.getvalue(), err.getvalue()


def _user() -> str:
    try:
        return f"{os.environ.get('SUDO_USER') or getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):
        return f"uid{os.getuid()}@{socket.gethostname()}"


def carry_out(site: Site, asked: argparse.Namespace, by: str) -> Answer:
    """A verb on the coordinator (and recover anywhere). Raises Stop, OSError."""
    verb = asked.verb
    if verb == "status":
        return show.status(site, asked.quick)
    if verb == "history":
        return history.shown(site)
    if verb == "audit":
        return care.audited(site, asked.verify)
    if verb == "logs":
        return care.logs(site, asked.service, asked.lines)
    if verb == "recover":
        return _recovered(site, asked.gateway)
    owner = asked.owner
    call = Call(verb, asked.txn, asked.by or by, asked.why, owner, asked.expect_generation, asked.fence)
    if verb == "stage":
        more = (asked.again, asked.migrated, asked.image, asked.as_it_is)
        return verbs.stage(site, call, asked.release, asked.service, *more)
    if verb == "switch":
        lease = site.lease if asked.lease is None else asked.lease
        if asked.open:
            return strategies.open_(site, call, asked.release, lease)
        if asked.host:
            return strategies.roll(site, call, asked.release, asked.host, lease)
        return verbs.switch(site, call, asked.release, lease)
    if verb == "weight":
        return strategies.weight(site, call, asked.percent, site.lease if asked.lease is None else asked.lease)
    if verb == "renew":
        return verbs.renew(site, call, asked.lease)
    if verb == "rollback":
        return verbs.rollback(site, call, hold=not asked.no_hold)
    if verb == "drain":
        return verbs.drain(site, call, asked.now)
    if verb == "maintenance":
        return care.maintenance(site, call, asked.action, asked.until)
    if verb == "lock":
        return care.locking(site, call, asked.action, asked.ttl)
    if verb in ("hold", "unhold"):
        return getattr(verbs, verb)(site, call, asked.release)
    return verbs.confirm(site, call)


def _forward(site: Site, words: list[str], asked: argparse.Namespace, by: str | None) -> int:
    """Has the coordinator carry it out; reading verbs fall back to this host's copy."""
    try:
        request = {"verb": "run", "words": words, "by": by or _user()}
        found: dict[str, Any] = peers.ask(site, site.coordinator, request, FORWARD)
    except Stop as stop:
        reading = asked.verb == "status" or getattr(asked, "action", "") == "status"
        if stop.code != UNREACHABLE or asked.verb not in LOCAL or not reading:
            raise
        return _say(show.status(site, quick=True, stale=stop), asked)
    sys.stdout.write(found["out"])
    sys.stderr.write(found["err"])
    return int(found["code"])


def _recovered(site: Site, gateway: bool) -> Answer:
    if gateway:
        done = recover.gateway_only(site)
    else:
        done = recover.recover(site) if site.coordinates else recover.follow(site)
    return Answer("; ".join(done) or "nothing was left to do", "", {"changed": bool(done), "done": done})


def _recover_all(base: str, asked: argparse.Namespace) -> int:
    """Every system of this host; the worst exit code."""
    codes = [OK]
    for system in systems(base):
        try:
            codes.append(_say(_recovered(load(base, system), asked.gateway), asked, f"{system}: "))
        except (Stop, OSError) as error:
            stop = error if isinstance(error, Stop) else Stop(FAILED, str(error))
            codes.append(_refuse(Stop(stop.code, f"{system}: {stop.fact}", stop.then), asked, system))
    return max(codes)


def _say(answer: Answer, asked: argparse.Namespace, prefix: str = "") -> int:
    if asked.json:
        about = {"verb": asked.verb, "system": asked.system, "message": answer.message, "next": answer.then}
        print(
            json.dumps({"ok": answer.code == OK, "code": answer.code, **about, **answer.data}, sort_keys=True)
        )
    else:
        print(prefix + answer.message)
        if answer.then:
            print(f"next: {answer.then}")
    return answer.code


def _refuse(stop: Stop, asked: argparse.Namespace, system: str = "") -> int:
    """Says why not; the next command names the system, which who raised it may not know."""
    then = stop.then.replace("SYSTEM", system or getattr(asked, "system", None) or "SYSTEM")
    if getattr(asked, "json", False):
        about = {"verb": asked.verb, "system": asked.system, "error": stop.fact, "next": then}
        print(json.dumps({"ok": False, "code": stop.code, **about}, sort_keys=True))
    else:
        print(f"error  {stop.fact}", file=sys.stderr)
        if then:
            print(f"next   {then}", file=sys.stderr)
    return stop.code
