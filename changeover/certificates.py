"""Certificates of an ACME authority: what a gateway host has of them, what it needs, and certbot's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from changeover.files import MARKER, File, render
from changeover.plan import Plan
from changeover.settings import Acme

CHALLENGES = ".acme"  # below the folder of slots, which nginx sees already; no system has a dot in its name
CERTBOT = "/etc/letsencrypt"
SCRIPT = "/usr/local/lib/changeover/certificates"
HOOK = f"{CERTBOT}/renewal-hooks/post/changeover"
SERVICE = "/etc/systemd/system/certbot.service.d/changeover.conf"
BUNDLE = f"{CERTBOT}/changeover-ca.pem"
PUBLIC = "/etc/ssl/certs/ca-certificates.crt"
LOG = "/var/log/letsencrypt/letsencrypt.log"
LIMIT = 180  # seconds for certbot and the authority together
SOON = 14  # days before its end at which certbot has long renewed a certificate, if it can
DAY = 86400.0
NOISE = ("saving debug log", "ask for help", "see the logfile", "some challenges have failed", "hint:")  # certbot's own


@dataclass(frozen=True)
class Certificate:
    """What certbot keeps for a system: of which authority, until when (seconds since 1970), for which names."""

    server: str
    ends: float
    names: tuple[str, ...]
    in_place: bool  # it is what lies where nginx looks


@dataclass(frozen=True)
class Look:
    """A gateway host as it is. `now` in seconds since 1970."""

    now: float = 0.0
    pairs: tuple[str, ...] = ()  # systems for which nginx finds a certificate, whoever made it
    certificates: dict[str, Certificate] = field(default_factory=dict)
    loaded: bool = False  # nginx has loaded what lies there
    unread: bool = False  # systemd has not read certbot.service's files
    served: dict[str, tuple[str, bool]] = field(default_factory=dict)  # system: name, and whether over HTTPS


@dataclass(frozen=True)
class Demand:
    """Why a certificate is asked for; without `must` the one that is there does until the authority answers.

    `first`: for this name there was none before, so nginx does not answer the authority yet.
    """

    why: str
    must: bool
    first: bool = False


def systems(plan: Plan, host: str) -> dict[str, str]:
    """{system: its name} of those that a gateway serves with certificates of the authority."""
    found = {name: plan.systems[name] for name in plan.served_by(host)}
    return {name: one.domain for name, one in found.items() if one.tls == "acme" and one.domain}


def acme(plan: Plan) -> Acme:
    """The authority's settings; the checks have seen to it that there are some."""
    assert plan.fleet.gateway.acme
    return plan.fleet.gateway.acme


def webroot(plan: Plan) -> str:
    """The folder whose .well-known/acme-challenge is answered at port 80."""
    return f"{plan.fleet.gateway.run_dir}/slots/{CHALLENGES}"


def demand(domain: str, directory: str, look: Look, found: Certificate | None) -> Demand | None:
    """Why a certificate must be had now; None while the one that is there is good.

    Arguments: the system's name; the authority's address; the host; what certbot keeps for the system.
    """
    if found is None:
        return Demand("there is none yet", must=True, first=True)
    if domain not in found.names:
        return Demand(f"the one that is there is for {' '.join(found.names)}", must=True, first=True)
    if found.ends <= look.now:
        return Demand("the one that is there has ended", must=True)
    if found.server != directory:
        return Demand(f"the one that is there is of {found.server}", must=False)
    if found.ends < look.now + SOON * DAY:
        why = f"the one that is there ends in {left(found, look)}, and certbot.timer has not renewed it"
        return Demand(why, must=False)
    return None


def plain(look: Look, wanted: Mapping[str, Demand]) -> list[str]:
    """Systems that are served without HTTPS until they have a certificate: those that were before, and new ones.

    A redirect to a certificate that nobody trusts would be worse. Arguments: the host; {system: what is asked for}.
    """
    return [name for name, asked in wanted.items() if asked.first and not look.served.get(name, ("", False))[1]]


def serves(system: str, domain: str, was: str, look: Look) -> str:
    """What a gateway answers with while there is no certificate, in words.

    Arguments: the system; its name; the name that it had before this run, if any; the host as it is now.
    """
    found, secure = look.certificates.get(system), look.served.get(system, ("", False))[1]
    how = "HTTP only"
    if secure:
        how = "HTTPS with the certificate that was there before"
    if secure and found and domain not in found.names:
        how = f"HTTPS with the certificate for {' '.join(found.names)}, which clients refuse under this name"
    gone = f"; {was}, its name before, is answered no more" if was not in ("", domain) else ""
    return f"the gateway answers for {domain} over {how}{gone}"


def left(found: Certificate, look: Look) -> str:
    """How long a certificate is good for, in words."""
    days = int((found.ends - look.now) / DAY)
    return f"{days} day{'s' * (days != 1)}" if found.ends > look.now else "no time"


def files(plan: Plan, host: str, script: str) -> list[File]:
    """What certbot's timer runs with. Raises OSError when the CA's file cannot be read.

    Arguments: the plan; the host; the text of the script that puts certificates in place.
    """
    ca = acme(plan).ca
    words = " ".join([plan.fleet.gateway.run_dir, *pairs(plan, host)])
    found = [
        File(SCRIPT, f"# {MARKER}; made from operations/on_host/certificates.py; changes here are lost\n{script}"),
        File(HOOK, render("certbot/hook.j2", script=SCRIPT, words=words), mode="755"),
        File(SERVICE, render("certbot/service.conf.j2", bundle=BUNDLE if ca else PUBLIC, script=SCRIPT, words=words)),
    ]
    return [*found, File(BUNDLE, Path(ca).read_text())] if ca else found


def pairs(plan: Plan, host: str) -> list[str]:
    """The script's words for the systems of a gateway: SYSTEM=NAME."""
    return [f"{name}={domain}" for name, domain in systems(plan, host).items()]


def request(plan: Plan, system: str, domain: str) -> list[str]:
    """The command that asks the authority, answered by nginx at port 80; nothing in it is a secret."""
    one = acme(plan)
    # Whether one is wanted was decided before: certbot would keep one that is not due, or of the same name.
    again = ["--force-renewal", "--renew-with-new-domains"]
    return [
        *("timeout", str(LIMIT), "env", f"REQUESTS_CA_BUNDLE={BUNDLE if one.ca else PUBLIC}"),
        *("certbot", "certonly", "--non-interactive", "--agree-tos", "--no-eff-email", "--email", one.email),
        *("--server", one.directory, "--webroot", "--webroot-path", webroot(plan)),
        *("--cert-name", lineage(system), "--domain", domain, "--key-type", "ecdsa", *again),
    ]


def lineage(system: str) -> str:
    """certbot's name for a system's certificate; others may be on the host."""
    return f"changeover-{system}"


def reason(lines: Sequence[str]) -> str:
    """Why there is no certificate, from all that certbot printed: the authority's own words, or the last ones."""
    said = [line.strip() for line in lines if line.strip()]
    details = [line.partition("Detail:")[2].strip() for line in said if line.startswith("Detail:")]
    if details:
        return "; ".join(dict.fromkeys(details))
    quiet = [line for line in said if not line.lower().startswith(NOISE)]
    return (quiet or ["certbot said nothing"])[-1]


def refused(system: str, domain: str, authority: str, host: str, asked: Demand, why: str, now: str) -> list[str]:
    """The lines of a run that ends as there is no certificate.

    Arguments: the system and its name; the authority's address; the host; what was asked for; certbot's reason; what
    the gateway answers with.
    """
    return [
        f"{system}: no certificate for {domain} from {authority} ({asked.why})",
        f"why    {why}",
        f"so far no slot was given away and nothing was switched; {now}",
        f"next   see that http://{domain}/ leads to port 80 of {host}, and that {host} reaches the authority (it may "
        f"limit the tries); then run the deploy again. All that certbot said: ssh {host} sudo tail -n 50 {LOG}",
    ]
