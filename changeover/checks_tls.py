"""What a certificate of an authority (tls="acme") asks of the other settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from changeover.plan import Plan
from changeover.problems import Problem

PORT = 80  # RFC 8555, 8.3: the authority asks there and nowhere else
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# RFC 2606, 6761, 6762, 8375, 9476 and what routers make up: nobody owns a name below these.
PRIVATE = ("test", "example", "invalid", "localhost", "local", "internal", "lan", "home", "corp", "alt", "home.arpa")


def certificates(plan: Plan, file_of: Mapping[str, str]) -> Iterable[Problem]:
    """Systems that want a certificate of the authority and cannot get one. Arguments: as of `checks`."""
    gateway = plan.fleet.gateway
    wanted = [name for name, system in plan.systems.items() if system.tls == "acme"]
    if wanted and gateway.acme is None:
        why = f"is missing, and {wanted[0]}.tls is 'acme'; write acme=dict(email=...)"
        yield Problem(file_of["fleet"], "fleet.gateway.acme", why)
    if wanted and gateway.http_port != PORT:
        why = f"is {gateway.http_port}, and {wanted[0]}.tls is 'acme': the authority asks at port {PORT} only"
        yield Problem(file_of["fleet"], "fleet.gateway.http_port", why)
    for name in wanted:
        domain, hosts = plan.systems[name].domain, [host.name for host in plan.gateways(name)]
        if domain is None:
            yield Problem(file_of[name], f"{name}.tls", f"is 'acme', which needs {name}.domain, the certificate's name")
        elif bad := uncertified(domain, gateway.acme.directory if gateway.acme else ""):
            yield Problem(file_of[name], f"{name}.domain", f"{domain} {bad}, and {name}.tls is 'acme'")
        if len(hosts) > 1:
            why = f"is 'acme', and {', '.join(hosts)} serve {name}: the authority asks any one of them, which must be "
            mend = "the one that asked; give certificate and key by files, or serve it by one gateway"
            yield Problem(file_of[name], f"{name}.tls", why + mend)


def uncertified(domain: str, directory: str) -> str | None:
    """Why no authority certifies a name; None where one may. Arguments: the name; the authority's address."""
    labels = domain.split(".")
    if labels[-1].isdigit():
        return "is an address and no name"
    if len(labels) < 2:
        return "has no dot, so it is no name of the internet"
    if bad := [label for label in labels if not LABEL.fullmatch(label)]:
        return f"is no host name ({bad[0]!r})"
    host = urlsplit(directory).hostname or ""
    if host.endswith("letsencrypt.org"):
        for last in PRIVATE:
            if domain.endswith(f".{last}"):
                return f"is below .{last}, which no public authority certifies"
    return None
