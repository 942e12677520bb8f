"""The services of a system: a team's own, PostgreSQL, NATS; and how each is reached, checked and stopped."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from changeover.settings_common import Limits, Strict
from changeover.settings_tests import Integration
from changeover.words import (
    ASSETS,
    EXTENSION,
    NAME,
    ROUTE,
    Capability,
    Duration,
    HttpPath,
    InMemory,
    Port,
    Size,
    Variable,
)

OWN_PROCESSES = 64  # of PostgreSQL, beside one for each connection: checkpointer, archiver, parallel workers


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
    upload: Duration = Field(
        "30s",
        description="longest time that a client may take to send a request body; the old slot is kept that long after "
        "a switch. nginx itself only ends a client that sends nothing for this time",
    )


def _form(value: Any) -> str | None:
    return "texts" if isinstance(value, dict) else "names" if isinstance(value, list) else None


Secrets = Annotated[
    Annotated[dict[Variable, str], Tag("texts")] | Annotated[list[Variable], Tag("names")],
    Discriminator(
        _form, custom_error_type="form", custom_error_message="must be a list of names, or a dict of name and text"
    ),
]


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
    secrets: Secrets = Field(
        [],
        description="files under /run/secrets: names, or name -> text with {secret.NAME}, {login.DATABASE} and "
        "{address.SERVICE}; in a URL the secret is percent-encoded",
    )
    secret_env: Secrets = Field(
        [],
        description="as secrets, but variables, which `docker inspect` shows: only for an app that cannot read files; "
        "each report lists them",
    )
    uid: int | None = Field(
        None, ge=1, description="user the container runs as, and owner of its secrets; none: the image's"
    )
    read_only: bool = Field(
        True, description="its files cannot be changed: what it writes goes to volumes and to folders in memory"
    )
    tmpfs: list[InMemory] = Field(
        ["/tmp"],
        description="folders in memory; they count as its memory; `/tmp:exec` where programs are started from one",
    )
    capabilities: list[Capability] = Field(
        [], description="rights of root that it keeps, such as NET_BIND_SERVICE; all others are dropped"
    )
    pids: int = Field(512, ge=16, description="processes and threads that it may have")
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
    test: Integration | None = Field(None, description="the team's own tests of an idle slot, before the switch")
    drain: Duration = Field(
        "30s", description="time for open requests and sockets after traffic has left, before the stop"
    )
    keepalive: Duration = Field(
        "75s", description="time that it keeps an idle connection open; longer than the gateway's upstream_keepalive"
    )

    @model_validator(mode="after")
    def _consistent(self) -> App:
        if self.slots and self.publish:
            raise ValueError("slots and publish exclude each other; slots are published already")
        if (self.slots or self.publish) and not self.port:
            raise ValueError("slots or publish need port, the one in the container")
        if self.routes and not (self.slots or self.publish):
            raise ValueError("routes need slots (or publish) for the gateway to reach")
        if self.ready and not self.slots:
            raise ValueError("ready needs slots; an idle slot is asked on its own port")
        if self.publish and "drain" in self.model_fields_set:
            raise ValueError(
                "drain is for what has two slots; with publish it is stopped after stop_grace, and replaced"
            )
        if not self.slots and "drain" in self.model_fields_set:
            raise ValueError(
                "drain is for what takes traffic; what has none is stopped at the switch, and its work has stop_grace: "
                f"write {self.drain!r} there"
            )
        if self.test and not self.slots:
            raise ValueError("test needs slots; an idle slot is tested on its own port")
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
    uid: int | None = Field(999, ge=1, description="as an app's; the official image's own, its Alpine variant's is 70")
    database: str = Field(pattern=NAME, description="database that is created")
    owner: str = Field(
        pattern=NAME,
        description="role without superuser rights that owns it; apps log in as {login.NAME}, a member of it",
    )
    owner_secret: Variable = Field(
        description="name of the secret that holds that login's password; another value is another login"
    )
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
    def _fits(self) -> Postgres:
        if self.owner == "postgres" or self.owner.startswith("pg_"):
            raise ValueError(f"owner {self.owner} is PostgreSQL's own; name a role of the system, it loses superuser")
        wanted = self.settings.get("max_connections", "100")
        if wanted.isdigit() and int(wanted) + OWN_PROCESSES > self.pids:
            raise ValueError(f"max_connections {wanted} and its own processes are more than pids {self.pids}")
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
