"""The one model of everything a team may write in group_data: strict, so that nothing is wrong quietly.

group_data holds plain data; this file says what is allowed in it. docs/settings.md and group_data/example.py.txt
are checked against it. No pyinfra and no I/O here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from changeover.words import (
    ASSETS,
    DOMAIN,
    EXTENSION,
    NAME,
    ROUTE,
    USER,
    Duration,
    Folder,
    HttpPath,
    Name,
    Port,
    Release,
    Size,
    Text,
    Variable,
    octets,
)


class Strict(BaseModel):
    """Unknown keys, wrong types and later changes are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Health(Strict):
    """How the container engine tells that a service is alive (S1, "Health Check Configuration")."""

    http: HttpPath | None = Field(
        None, description="path that answers 200 while the process lives; no dependency in it"
    )
    cmd: list[str] | None = Field(
        None, min_length=1, description="words run in the container instead; exit code 0 is healthy"
    )
    port: Port | None = Field(None, description="port of `http` where it is not the service's own")
    interval: Duration = Field("10s", description="time between two checks")
    timeout: Duration = Field("5s", description="longest time for one check")
    retries: int = Field(3, ge=1, description="failures in a row until unhealthy")
    start_period: Duration = Field("15s", description="failures in this time after the start do not count")

    @model_validator(mode="after")
    def _one_way(self) -> Health:
        if (self.http is None) == (self.cmd is None):
            raise ValueError("give one of http and cmd")
        return self


class Ready(Strict):
    """What an idle slot must answer before traffic goes to it: the body is read too (S0, section 8)."""

    http: HttpPath = Field(description="path asked on the slot's own port")
    json_: dict[str, Any] = Field({}, alias="json", description="keys that must have these values in the answer's body")
    timeout: Duration = Field("60s", description="longest wait for the right answer")


class Slots(Strict):
    """The two host ports of a service that takes traffic; one release in each."""

    blue: Port = Field(description="host port of the blue slot")
    green: Port = Field(description="host port of the green slot")

    @model_validator(mode="after")
    def _two_ports(self) -> Slots:
        if self.blue == self.green:
            raise ValueError(f"blue and green are both {self.blue}; two slots need two ports")
        return self


class Route(Strict):
    """A path prefix that the gateway hands to a service."""

    websocket: bool = Field(False, description="pass the Upgrade header on")
    timeout: Duration = Field("60s", description="longest silence of the service; S1 asks 24h for /ws")
    strip: bool = Field(False, description="take the prefix away before the service sees the path")
    assets: str | None = Field(None, pattern=ASSETS, description="folder below the prefix to cache, such as assets/")
    max_body: Size = Field("10M", description="largest request body")


class Limits(Strict):
    """What a container may use at most, and what is kept for it (S1, "Resource Allocation")."""

    cpus: float = Field(1.0, gt=0, allow_inf_nan=False, description="CPU limit in cores")
    memory: Size = Field("512M", description="memory limit; more ends the process")
    cpus_reserve: float = Field(
        0.1, gt=0, description="cores kept: becomes cpu_shares, as compose has no CPU reservation"
    )
    memory_reserve: Size = Field("64M", description="memory kept (a soft limit)")

    @model_validator(mode="after")
    def _reserve_below_limit(self) -> Limits:
        if self.cpus_reserve > self.cpus:
            raise ValueError(f"cpus_reserve {self.cpus_reserve} is more than cpus {self.cpus}")
        if octets(self.memory_reserve) > octets(self.memory):
            raise ValueError(f"memory_reserve {self.memory_reserve} is more than memory {self.memory}")
        return self


def _form(value: Any) -> str | None:
    return "texts" if isinstance(value, dict) else "names" if isinstance(value, list) else None


class Container(Limits):
    """What every service that runs as a container has."""

    layer: int = Field(ge=1, le=3, description="started when the layer below is healthy; 4 is the gateway")
    on: str = Field(description="inventory group whose hosts run it")
    image: str | None = Field(
        None, description="exact tag or digest; {registry} {mirror} {service} {release} are filled in"
    )
    command: list[str] | None = Field(None, description="words instead of the image's own command")
    env: dict[Variable, str] = Field(
        {}, description="variables, not secret; {address.SERVICE} is host:port of a service"
    )
    secrets: Annotated[
        Annotated[dict[Variable, str], Tag("texts")] | Annotated[list[Variable], Tag("names")],
        Discriminator(
            _form, custom_error_type="form", custom_error_message="must be a list of names, or a dict of name and text"
        ),
    ] = Field(
        [],
        description="files under /run/secrets: names, or name -> text with {secret.NAME} and {address.SERVICE}; "
        "in a URL the secret is percent-encoded",
    )
    uid: int | None = Field(
        None, ge=1, description="user the container runs as, and owner of its secrets; none: the image's"
    )
    stop_grace: Duration = Field("30s", description="time between SIGTERM and SIGKILL")
    start_timeout: Duration = Field("120s", description="longest wait until healthy")


class App(Container):
    """A service of the team's own, or any plain image."""

    kind: Literal["app"] = Field("app", description="what it is; the other kinds are postgres and nats")
    port: Port | None = Field(None, description="port in the container")
    publish: Port | None = Field(
        None, description="host port, on the host's private address, for a service without slots"
    )
    dev_ports: dict[Port, Port] = Field(
        {}, description="host port -> container port on 127.0.0.1; closed in production"
    )
    slots: Slots | None = Field(None, description="blue and green host ports: the service is switched without a gap")
    routes: dict[Annotated[str, Field(pattern=ROUTE)], Route] = Field({}, description="path prefixes it serves")
    singleton: bool = Field(False, description="runs exactly once, on the first host of its group")
    health: Health | None = Field(None, description="how the engine tells that it is alive; slots need it")
    ready: Ready | None = Field(
        None, description="what the idle slot must answer before traffic goes there; default: health"
    )
    drain: Duration = Field(
        "30s", description="time for open requests and sockets after traffic has left, before the stop"
    )
    tmpfs: list[Folder] = Field([], description="folders in memory")

    @model_validator(mode="after")
    def _consistent(self) -> App:
        if self.slots and self.publish:
            raise ValueError("slots and publish exclude each other; slots are published already")
        if (self.slots or self.publish) and not self.port:
            raise ValueError("slots or publish need port, the one in the container")
        if self.routes and not (self.slots or self.publish):
            raise ValueError("routes need slots (or publish) for the gateway to reach")
        if self.singleton and self.slots:
            raise ValueError("a singleton has no slots; it is stopped and started")
        if self.slots and not self.health:
            raise ValueError("a service with slots needs health; a slot is only switched to when healthy")
        if self.health and self.health.http and not (self.health.port or self.port):
            raise ValueError("health.http needs port, the one in the container")
        return self


class Postgres(Container):
    """PostgreSQL in the official image's interface."""

    kind: Literal["postgres"] = Field(description="what it is")
    major: int = Field(ge=13, le=19, description="major version; must be the image's")
    port: Port = Field(5432, description="port in the container")
    publish: Port = Field(5432, description="host port, on the host's private address")
    dev_ports: dict[Port, Port] = Field({}, description="as an app's")
    database: str = Field(pattern=NAME, description="database that is created")
    owner: str = Field(pattern=NAME, description="role without superuser rights that owns it; apps log in as it")
    owner_secret: Variable = Field(description="name of the secret that holds the owner's password")
    superuser_secret: Variable = Field("POSTGRES_PASSWORD", description="name of the secret of the postgres role")
    extensions: list[Annotated[str, Field(pattern=EXTENSION)]] = Field([], description="made by the superuser")
    settings: dict[str, str] = Field({}, description="server settings, as in postgresql.conf")
    health: Health = Field(
        default_factory=lambda: Health(
            cmd=["pg_isready", "-h", "127.0.0.1", "-U", "postgres"], retries=5, start_period="10s"
        ),
        description="default: pg_isready over TCP",
    )

    @model_validator(mode="after")
    def _owner_is_plain(self) -> Postgres:
        if self.owner == "postgres" or self.owner.startswith("pg_"):
            raise ValueError(f"owner {self.owner} is PostgreSQL's own; name a role of the system, it loses superuser")
        return self


class Nats(Container):
    """NATS with JetStream in the official image's interface."""

    kind: Literal["nats"] = Field(description="what it is")
    port: Port = Field(4222, description="port in the container")
    publish: Port = Field(4222, description="host port, on the host's private address")
    dev_ports: dict[Port, Port] = Field({}, description="as an app's")
    monitoring: Port = Field(8222, description="its HTTP monitoring port, which the health check asks")
    health: Health | None = Field(None, description="default: /healthz of its monitoring port")


def _kind(value: Any) -> str:
    return (value.get("kind", "app") if isinstance(value, dict) else getattr(value, "kind", "app")) or "app"


Service = Annotated[
    Annotated[App, Tag("app")] | Annotated[Postgres, Tag("postgres")] | Annotated[Nats, Tag("nats")],
    Discriminator(
        _kind,
        custom_error_type="kind",
        custom_error_message="must be app, postgres or nats",
    ),
]


class Migrations(Strict):
    """How the schema goes from one release to the next."""

    engine: Literal["alembic"] = Field(description="the tool that knows the versions")
    service: str = Field(description="service in whose image and with whose secrets the engine runs")
    database: str = Field(description="the postgres service it changes")
    timeout: Duration = Field("10m", description="longest time for one upgrade")


class Tls(Strict):
    """Certificate and key by file, on the control machine; the key goes to the gateways with mode 0600."""

    certificate: Text = Field(description="PEM file with the certificate and its chain")
    key: Text = Field(description="PEM file with the key")
    ca: Text | None = Field(None, description="PEM file of a private CA, for the deploy's own prober")


class Probe(Strict):
    """A request that the deploy sends through the gateway, again and again, while it switches and soaks."""

    path: HttpPath = Field(description="path on the gateway")
    method: Literal["GET", "POST"] = Field("GET", description="a POST's body may hold {id}, new each time")
    json_: dict[str, Any] = Field({}, alias="json", description="body of a POST")
    expect: int = Field(200, ge=100, le=599, description="the right status code")


class Releasing(Strict):
    """How a release goes live, and how long the way back stays warm."""

    lease: Duration = Field("90s", description="not confirmed in this time, a switch goes back by itself")
    soak: Duration = Field("30s", description="time under watch after the switch, before it is confirmed")
    keep_warm: Duration = Field("30m", description="time that the old slot runs on after the confirmation")
    keep: int = Field(5, ge=2, description="releases whose images stay on the hosts")
    probe: list[Probe] = Field([], description="requests of the deploy's own prober; default: each route's health path")
    websocket: HttpPath | None = Field(None, description="path of a WebSocket that the prober keeps open")
    max_failed: int = Field(0, ge=0, description="failed probes during the soak that still pass")


class System(Strict):
    """What is deployed as one: one group in the inventory, one file in group_data."""

    initial_release: Release = Field(description="release of the first installation; later the hosts say what is live")
    image: str = Field("{registry}/{system}/{service}:{release}", description="image of services that name none")
    domain: str | None = Field(None, pattern=DOMAIN, description="name under which the gateway serves it")
    tls: Tls | None = Field(None, description="none: plain HTTP only")
    run_dir: Folder | None = Field(None, description="its folder on the hosts; default /srv/SYSTEM")
    services: dict[Name, Service] = Field(min_length=1, description="its parts; the name is used everywhere")
    release: Releasing = Field(Releasing(), description="how a release goes live")
    migrations: Migrations | None = Field(None, description="none: the system has no schema of its own")


class Gateway(Limits):
    """The nginx of the edge hosts, shared by all systems."""

    on: str = Field("edge", description="inventory group whose hosts are gateways")
    image: str = Field("{mirror}/library/nginx:1.26", description="exact tag or digest")
    http_port: Port = Field(80, description="plain HTTP: health, redirects to HTTPS")
    https_port: Port = Field(443, description="HTTPS, HTTP/2 and WebSockets")
    keepalive: Duration = Field("75s", description="idle time of client connections")
    upstream_keepalive: Duration = Field(
        "30s",
        description="idle time of connections to apps; must be shorter than the apps' own, or POSTs fail",
    )
    reach: Text | None = Field(
        None, description="host:port at which the control machine reaches it; default: address and https_port"
    )
    cpus: float = Field(0.5, gt=0, allow_inf_nan=False, description="CPU limit in cores")
    memory: Size = Field("256M", description="memory limit")
    run_dir: Folder = Field("/srv/gateway", description="its folder on the hosts")

    @model_validator(mode="after")
    def _two_ports(self) -> Gateway:
        if self.http_port == self.https_port:
            raise ValueError(f"http_port and https_port are both {self.http_port}")
        return self


class Fleet(Strict):
    """What all hosts share, whatever the system (group_data/all.py)."""

    environment: Literal["staging", "production"] = Field(
        "production", description="what these hosts are; development ports are closed in production"
    )
    registry: Text = Field(description="where the team's images come from: {registry} in image names")
    mirror: Text = Field("docker.io", description="where public images come from: {mirror} in image names")
    docker_source: Literal["docker", "debian"] = Field(
        "docker", description="Docker's apt repository, or the distribution's"
    )
    daemon: dict[str, Any] = Field({}, description="further keys of /etc/docker/daemon.json")
    deploy_user: str = Field(
        "deploy", pattern=USER, description="user that is made; in group docker, so as good as root"
    )
    deploy_keys: list[str] = Field([], description="public SSH keys that may log in as the deploy user")
    secrets_file: str = Field("secrets/{environment}.env", description="NAME=value lines, mode 0600, never in git")
    gateway: Gateway = Field(Gateway(), description="the nginx of the edge hosts")


class Run(Strict):
    """What a run may be given with --data."""

    system: str | None = Field(None, description="only this system")
    release: Release | None = Field(
        None, description="release of `system`, or of the first one; without it the live one stays"
    )
