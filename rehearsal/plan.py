"""Which hosts there are and how each is started: pure, so that tests can read it."""

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

NETWORK = "changeover"
DOMAIN = "staging.test"
SUBNET = "172.30.99.0/24"
USER = "admin"
LABEL = "changeover.rehearsal"
REGISTRY_PORT = 5555
"""On this machine's loopback, which every engine takes as an insecure registry without being told."""
REGISTRY_VOLUME = "changeover-registry"
HTTP_PORT, HTTPS_PORT = 8080, 8443
BARE_HTTPS_PORT = 8453
EDGE2_HTTPS_PORT = 8445
ACME_HTTPS_PORT = 8455
GATEWAY_NAMES = ("tasks", "hello")
"""Names under DOMAIN that the gateway answers to."""


@dataclass(frozen=True)
class Host:
    """One throwaway host. `offset` is its address in the subnet, `published` pairs (port here, port there)."""

    name: str
    offset: int
    ssh_port: int
    published: tuple[tuple[int, int], ...] = ()
    aliases: tuple[str, ...] = ()
    volumes: tuple[tuple[str, str], ...] = ()
    image: str = "host"

    @property
    def container(self) -> str:
        return f"changeover-{self.name}"

    @property
    def fqdn(self) -> str:
        return f"{self.name}.{DOMAIN}"

    @property
    def engine_volume(self) -> str:
        """The volume that holds the host's own container engine; it dies with the host."""
        return f"changeover-{self.name}-docker"


HOSTS = (
    Host("ops1", 10, 2301, ((REGISTRY_PORT, 5000),), volumes=((REGISTRY_VOLUME, "/var/lib/docker-registry"),)),
    Host(
        "edge1",
        11,
        2302,
        ((HTTP_PORT, 80), (HTTPS_PORT, 443)),
        aliases=tuple(f"{name}.{DOMAIN}" for name in GATEWAY_NAMES),
    ),
    Host("app1", 12, 2303),
    Host("app2", 13, 2304),
    Host("data1", 14, 2305),
)
ON_DEMAND = (
    Host("bare1", 20, 2306, ((BARE_HTTPS_PORT, 443),), image="host-bare"),
    Host("edge2", 21, 2307, ((EDGE2_HTTPS_PORT, 443),)),
    Host("old1", 22, 2308, image="host-old"),
    Host("acme1", 23, 2309, ((ACME_HTTPS_PORT, 443),)),
)


def chosen(extra: Sequence[str] = ()) -> tuple[Host, ...]:
    """The hosts of a rehearsal with some on demand. Raises KeyError for a name that is not there."""
    named = {host.name: host for host in HOSTS + ON_DEMAND}
    for name in extra:
        named[name]
    return HOSTS + tuple(host for host in ON_DEMAND if host.name in extra)


def address(host: Host, subnet: str = SUBNET) -> str:
    """The host's fixed address in `subnet`. Raises ValueError when the subnet has no room (prefix longer than /27)."""
    network = ipaddress.ip_network(subnet)
    if network.version != 4 or network.num_addresses < 32:
        raise ValueError(f"{subnet} is too small or not IPv4; a /24 such as {SUBNET} is asked for")
    return str(network[host.offset])


EXPLICIT = (
    "--cap-add",
    "ALL",
    "--cap-drop",
    "SYS_RESOURCE",
    "--cap-drop",
    "SYS_TIME",
    "--security-opt",
    "seccomp=unconfined",
    "--security-opt",
    "apparmor=unconfined",
    "--security-opt",
    "systempaths=unconfined",
    "--device-cgroup-rule",
    "a *:* rwm",
    "--cgroupns",
    "private",
)
"""For cgroup v1 (which refuses --privileged with a private cgroup namespace, moby issue 40788) and for engines that
may not give CAP_SYS_RESOURCE. SYS_TIME is kept back: the clock is this machine's, not the host's."""
PRIVILEGED = ("--privileged", "--cgroupns=private")
"""For cgroup v2, where systemd needs a writable /sys/fs/cgroup and only --privileged gives one."""


def profile(cgroup_version: str, has_sys_resource: bool) -> tuple[str, ...]:
    """The rights a host gets, from `docker info`'s CgroupVersion and the engine's bounding set."""
    return PRIVILEGED if cgroup_version == "2" and has_sys_resource else EXPLICIT


def run_words(host: Host, image: str, rights: Sequence[str], subnet: str, labels: dict[str, str]) -> list[str]:
    """What follows `docker run` to start a host: systemd as PID 1 with an address, ports and an engine of its own."""
    words = [
        "-d",
        "--name",
        host.container,
        "--hostname",
        host.name,
        "--domainname",
        DOMAIN,
        "--network",
        NETWORK,
        "--ip",
        address(host, subnet),
        "--stop-signal",
        "SIGRTMIN+3",
        "--stop-timeout",
        "30",
        # `systemctl reboot` in the host ends its container with an error, and so comes back.
        "--restart",
        "on-failure:5",
    ]
    for alias in (host.name, host.fqdn, *host.aliases):
        words += ["--network-alias", alias]
    words += rights
    words += ["--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec"]
    # A bare host too, for the engine that is installed on it: layers upon the container's own layers do not stack.
    words += ["-v", f"{host.engine_volume}:/var/lib/docker"]
    for volume, target in host.volumes:
        words += ["-v", f"{volume}:{target}"]
    for here, there in ((host.ssh_port, 22), *host.published):
        words += ["-p", f"127.0.0.1:{here}:{there}"]
    for key, value in sorted({LABEL: "1", **labels}.items()):
        words += ["--label", f"{key}={value}"]
    return [*words, image]


def fingerprint(words: Sequence[str]) -> str:
    """A short hash of run arguments: a host whose fingerprint differs is another host."""
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:16]
