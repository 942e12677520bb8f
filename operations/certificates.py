"""Certificates of an ACME authority on a gateway: certbot from the host's own packages, asked at nginx's port 80."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Sequence
from typing import Any, cast

from pyinfra import host
from pyinfra.api import FunctionCommand, StringCommand, deploy, operation
from pyinfra.operations import apt

from changeover import certificates, gateway
from changeover.plan import Plan
from changeover.secrets import Secrets
from facts.certificates import SCRIPT, Certificates
from operations import flow, units
from operations.ask import shell
from operations.files import tree
from operations.gateway import serve

TIMER = "certbot.timer"


@deploy("certificates")
def had(plan: Plan, name: str, secrets: Secrets) -> None:
    """This gateway has a certificate for each system that wants one of the authority, and renews it by itself.

    A first one is asked for before anything of a release is touched. Arguments: the plan; this host's name; where
    secrets come from.
    """
    domains = certificates.systems(plan, name)
    if not domains:
        return
    base, pairs = plan.fleet.gateway.run_dir, certificates.pairs(plan, name)
    apt.packages(name="certbot", packages=["certbot"], update=True, cache_time=86400, no_recommends=True)
    tree(
        name="where the authority's questions are answered; what certbot's timer runs with",
        files=certificates.files(plan, name, SCRIPT.read_text()),
        directories=gateway.directories(plan, name),
    )
    unit_read(name="systemd knows certbot.service as it is", directory=base, pairs=pairs)
    units.ready(name=f"{TIMER} runs, and after a reboot", running={TIMER: []})
    begun(name="nginx finds a certificate for each system", directory=base, pairs=pairs)
    look = host.get_fact(Certificates, directory=base, pairs=pairs)
    authority, there = certificates.acme(plan).directory, look.certificates
    found = {one: certificates.demand(domain, authority, look, there.get(one)) for one, domain in domains.items()}
    wanted = {one: asked for one, asked in found.items() if asked}
    if any(asked.first for asked in wanted.values()):
        installed(name="what certbot has already is in place", directory=base, pairs=pairs)
        # Whoever asks for a certificate must be able to answer for its name.
        cast(Any, serve)(plan, name, secrets, certificates.plain(look, wanted))
    for system in host.loop(list(wanted)):
        obtained(
            name=f"{system}: a certificate for {domains[system]}",
            system=system,
            domain=domains[system],
            was=look.served.get(system, ("", False))[0],
            authority=authority,
            words=certificates.request(plan, system, domains[system]),
            directory=base,
            pairs=pairs,
        )
    installed(name="the gateway has loaded its certificates", directory=base, pairs=pairs)


@operation()
def unit_read(directory: str, pairs: Sequence[str]) -> Generator[StringCommand]:
    """
    systemd has read certbot.service's files.

    + directory: the gateway's folder
    + pairs: SYSTEM=NAME of its systems
    """
    if host.get_fact(Certificates, directory=directory, pairs=list(pairs)).unread:
        yield StringCommand("systemctl daemon-reload")
    else:
        host.noop("systemd has read it")


@operation()
def begun(directory: str, pairs: Sequence[str]) -> Generator[StringCommand]:
    """
    Each system has a certificate that nginx can start with, if only one that nobody trusts.

    + directory: the gateway's folder
    + pairs: SYSTEM=NAME of its systems
    """
    there = host.get_fact(Certificates, directory=directory, pairs=list(pairs)).pairs
    if {pair.partition("=")[0] for pair in pairs} <= set(there):
        host.noop("each has one")
    else:
        yield _script("begin", directory, pairs)


@operation()
def installed(directory: str, pairs: Sequence[str]) -> Generator[StringCommand]:
    """
    nginx has loaded what certbot keeps: checked first, one reload for all.

    + directory: the gateway's folder
    + pairs: SYSTEM=NAME of its systems
    """
    look = host.get_fact(Certificates, directory=directory, pairs=list(pairs))
    if look.loaded and all(one.in_place for one in look.certificates.values()):
        host.noop("it has")
    else:
        yield _script("install", directory, pairs)


def _script(verb: str, directory: str, pairs: Sequence[str]) -> StringCommand:
    return StringCommand("python3", certificates.SCRIPT, verb, *map(shlex.quote, [directory, *pairs]))


@operation(is_idempotent=False)
def obtained(
    system: str, domain: str, was: str, authority: str, words: Sequence[str], directory: str, pairs: Sequence[str]
) -> Generator[FunctionCommand]:
    """
    certbot has a certificate of the authority. Where the one that is there is still good, none now is but a note.

    + system: its name
    + domain: the name that the certificate is for
    + was: the name that the gateway answered to before this run, if any
    + authority: its address
    + words: the command that asks it
    + directory: the gateway's folder
    + pairs: SYSTEM=NAME of its systems
    """
    look = host.get_fact(Certificates, directory=directory, pairs=list(pairs))
    there = look.certificates.get(system)
    asked = certificates.demand(domain, authority, look, there)
    if not asked:
        host.noop("there is a good one")
        return

    def ask(state: Any, host: Any) -> bool:
        done, lines = shell(host, words, certificates.LIMIT + 30)
        if not done and asked.must:
            why = certificates.reason(lines)
            now = certificates.serves(system, domain, was, look)
            return flow.fail_here(host, certificates.refused(system, domain, authority, host.name, asked, why, now))
        if not asked.must:
            now = "there is a new one now"
            if there and not done:
                reason = certificates.reason(lines)
                now = f"none could be had now ({reason}); it is good for {certificates.left(there, look)}"
            flow.NOTES.append(f"{host.name}: {system}'s certificate: {asked.why}; {now}")
        return True

    yield FunctionCommand(ask, (), {})
