"""The words that settings are written in: durations, sizes, ports, names; and how a person is told what fits."""

from __future__ import annotations

import math
import re
from typing import Annotated

from pydantic import AfterValidator, Field

DURATION = re.compile(r"(\d+)(ms|s|m|h|d)")
SIZE = re.compile(r"(\d+)([KMG])")
SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
BYTES = {"K": 1024, "M": 1024**2, "G": 1024**3}
RELEASE = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
NAME = r"^[a-z][a-z0-9_]{0,30}$"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
FOLDER = r"^(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$"
IN_MEMORY = r"^(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+(:exec)?$"
HTTP_PATH = r"^/[A-Za-z0-9._~/?=&%+-]*$"
SMOKE_PATH = r"^/([A-Za-z0-9._~/?=&%+-]|\{id\})*$"
ROUTE = r"^/[a-z0-9_/-]*$"
DOMAIN = r"^[a-z0-9-]+(\.[a-z0-9-]+)*$"
ASSETS = r"^[a-z0-9_-]+/$"
EXTENSION = r"^[a-z][a-z0-9_-]{0,62}$"
REACH = r"^[0-9]{1,3}(\.[0-9]{1,3}){3}:[0-9]{1,5}$"
USER = r"^[a-z][a-z0-9-]{0,30}$"
INTERFACE = r"^[A-Za-z0-9._-]{1,14}\*?$"
KEYWORD = r"^[A-Z][A-Za-z0-9]+$"
PACKAGE = r"^[a-z0-9][a-z0-9+.-]*$"
KERNEL = r"^[a-z0-9_]+(\.[A-Za-z0-9_-]+)+$"
# capabilities(7), without those that are root's own rights over the host (SYS_ADMIN, SYS_MODULE and the like).
CAPABILITIES = """
AUDIT_WRITE BLOCK_SUSPEND CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE
LINUX_IMMUTABLE MKNOD NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW SETFCAP SETGID SETPCAP SETUID SYS_CHROOT
SYS_NICE SYS_PTRACE SYS_RESOURCE WAKE_ALARM
""".split()
MAIL = r"^[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$"
HTTPS = r"^https://[A-Za-z0-9.-]+(:[0-9]{1,5})?/[A-Za-z0-9._~/?=&%+-]*$"
TAKE = r"^(status|ms|\$(\.[A-Za-z0-9_-]+)+)$"
URL = r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?$"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY, _TIME = "(mon|tue|wed|thu|fri|sat|sun)", "([01][0-9]|2[0-3]):[0-5][0-9]"
SPAN = f"^{_DAY}(-{_DAY})? {_TIME}-({_TIME}|24:00)$"
# What a person is told when a text does not fit.
PATTERNS = {
    RELEASE: "must be letters, digits and . _ - as in 1.10.0; 128 at most, first a letter or digit",
    NAME: "must be small letters, digits and _; 31 at most, first a letter",
    VARIABLE: "must be letters, digits and _; first no digit",
    FOLDER: "must be a folder from / on, of letters, digits and . _ -",
    IN_MEMORY: "must be a folder from / on, as in /tmp, or /tmp:exec where programs are started from it",
    HTTP_PATH: "must be a path from / on, without spaces or quotes",
    SMOKE_PATH: "must be a path from / on, without spaces or quotes; {id} may be in it",
    ROUTE: "must be a path from / on, of small letters, digits and _ - /",
    DOMAIN: "must be a host name in small letters, as in tasks.example.com",
    ASSETS: "must be one folder below the prefix with / at its end, as in assets/",
    EXTENSION: "must be the name of an extension, as in vector",
    REACH: "must be an IPv4 address and a port, as in 127.0.0.1:8443",
    INTERFACE: "must be the name of an interface; with * at its end all that begin so",
    KEYWORD: "must be a keyword as sshd_config(5) writes it, as in X11Forwarding",
    PACKAGE: "must be a package's name, or how it begins, in small letters",
    KERNEL: "must be a kernel setting, as in vm.swappiness",
    MAIL: "must be a mail address, as in ops@example.com",
    HTTPS: "must be a URL from https:// on, with a path",
    TAKE: "must be status, ms, or a path into the JSON answer, as in $.queue.depth",
    URL: "must be a URL, as in http://10.0.0.9:9090",
    SPAN: 'must be a day or two with -, and two times, as in "mon-thu 09:00-16:00"',
    USER: "must be small letters, digits and -; 31 at most, first a letter",
}


def _unit(pattern: re.Pattern[str], *units: str):
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            hint = (
                f"has no unit; write '{value}{units[0]}'"
                if value.isdigit()
                else f"must be a number and one of {' '.join(units)}, as in 30{units[0]}"
            )
            raise ValueError(f"{value!r} {hint}")
        if not int(pattern.fullmatch(value).group(1)):  # type: ignore[union-attr]
            raise ValueError(f"{value!r} is nothing; it must be more than 0")
        return value

    return check


def _no_latest(release: str) -> str:
    if release == "latest":
        raise ValueError("'latest' is another release tomorrow; name an exact one")
    return release


def _capability(value: str) -> str:
    if value not in CAPABILITIES:
        raise ValueError(f"{value!r} is no capability to give away; known are, without CAP_: {' '.join(CAPABILITIES)}")
    return value


Duration = Annotated[str, AfterValidator(_unit(DURATION, "s", "ms", "m", "h", "d"))]
Size = Annotated[str, AfterValidator(_unit(SIZE, "M", "K", "G"))]
Port = Annotated[int, Field(ge=1, le=65535)]
Release = Annotated[str, Field(pattern=RELEASE), AfterValidator(_no_latest)]
Folder = Annotated[str, Field(pattern=FOLDER)]
InMemory = Annotated[str, Field(pattern=IN_MEMORY)]
HttpPath = Annotated[str, Field(pattern=HTTP_PATH)]
Name = Annotated[str, Field(pattern=NAME)]
Variable = Annotated[str, Field(pattern=VARIABLE)]
Capability = Annotated[str, AfterValidator(_capability)]
Text = Annotated[str, Field(min_length=1)]


def seconds(duration: str) -> float:
    """Seconds in a duration such as `90s`, `24h` or `500ms`."""
    amount, unit = DURATION.fullmatch(duration).groups()  # type: ignore[union-attr]
    return int(amount) * SECONDS[unit]


def whole_seconds(duration: str) -> int:
    """Seconds in a duration, rounded up, for tools that count whole ones and take 0 as "for ever"."""
    return math.ceil(seconds(duration))


def octets(size: str) -> int:
    """Bytes in a size such as `512M` (powers of 1024, as Docker counts)."""
    amount, unit = SIZE.fullmatch(size).groups()  # type: ignore[union-attr]
    return int(amount) * BYTES[unit]
