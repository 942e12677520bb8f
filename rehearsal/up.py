"""`up`: engine, base, hosts and images, in parallel where they do not need each other."""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait

from . import base, hosts, images, paths, plan, registry, state, trust
from . import engine as engines
from .engine import Engine
from .errors import Ended
from .images import Image
from .plan import Host
from .shell import Shell

BUILDERS = 2
"""Images built at a time: unpacking packages is bound by cores, and two are what a small machine has."""


def up(shell: Shell, extra: Sequence[str], new: Sequence[str] = ()) -> dict:
    """Bring everything up, whatever is there already; returns the status. Raises RehearsalError.

    Arguments: hosts on demand that are wanted too; hosts that are replaced by new, empty ones.
    """
    subnet, wanted = state.subnet(), plan.chosen([*extra, *new])
    engine = ready_engine(shell)
    for host in wanted:
        if host.name in new:
            hosts.remove(shell, engine.docker, host)
    maker = Maker(shell, engine)
    base_image = images.base_image(maker.source)
    for kind in dict.fromkeys(host.image for host in wanted):
        maker.host(kind)
    tags = {kind: images.host_images(kind, maker.source)[-1].tag for kind in images.HOST_KINDS}

    paths.make_private(paths.STATE)
    registry_ready = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        starting = pool.submit(bring_up_hosts, shell, engine, wanted, tags, subnet, registry_ready)
        stocking = pool.submit(stock, maker, base_image.tag, registry_ready)
        finish([starting, stocking], shell.abort)
    started, present = starting.result()
    content = state.status("up", present, subnet, started)
    state.write(content)
    maker.tidy()
    return content


def build(shell: Shell) -> int:
    """Make all images and start no host; returns how many there are."""
    maker = Maker(shell, ready_engine(shell))
    base_image = images.base_image(maker.source)
    maker.make(base_image)
    for kind in ("host-bare", "host"):
        maker.host(kind)
    services = images.service_images(base_image.tag, maker.source)
    everything = [*services.values(), *images.example_images(services, paths.ROOT / "examples")]
    for image in everything:
        maker.make(image)
    return len(everything) + 3


def ready_engine(shell: Shell) -> Engine:
    """The engine, started when need be."""
    engine = engines.ready(shell)
    assert engine is not None
    return engine


class Maker:
    """Makes images that the engine does not hold yet, and forgets those that were superseded long ago."""

    def __init__(self, shell: Shell, engine: Engine) -> None:
        self.shell, self.engine = shell, engine
        asked = os.environ.get(images.SOURCE_VARIABLE, "auto")
        self.source = images.choose_source(shell, engine.docker, asked, paths.make_private(paths.cache()))
        self._there = images.local_tags(shell, engine.docker)
        self._used: set[str] = set()

    def make(self, image: Image) -> None:
        """Make one image, by the way its source asks for; nothing is done when it is there."""
        self._used.add(image.tag)
        if image.tag in self._there:
            return
        with self.shell.progress.step(image.title) as step:
            if self.source == "pull" and image.official:
                images.pull(self.shell, self.engine.docker, image)
                step.outcome = f"pulled {image.official}"
            elif image.suite:
                base.make(self.shell, self.engine.docker, image.tag, image.suite)
                step.outcome = f"Debian {image.suite} made from this machine's archive"
            else:
                images.build(self.shell, self.engine.docker, self.engine.builder_env, image)
                step.outcome = "image built"

    def host(self, kind: str) -> str:
        """Make the image of a kind of host, with what it is made of; its tag."""
        made = images.host_images(kind, self.source)
        for image in made:
            self.make(image)
        return made[-1].tag

    def tidy(self) -> None:
        """Remove images of ours whose content was replaced more than a few times since; those in use stay."""
        stale = images.superseded(images.local_tags(self.shell, self.engine.docker), self._used)
        if stale:
            self.shell.ask([self.engine.docker, "rmi", *stale], limit=60)

    def push(self, image: Image, registry_ready: threading.Event) -> None:
        """Push one image when the registry is up and does not hold it."""
        if not image.names:
            return
        registry_ready.wait(hosts.BOOT_LIMIT * 2)
        if registry.holds(image):
            return
        with self.shell.progress.step(image.title) as step:
            registry.push(self.shell, self.engine.docker, image)
            step.outcome = "pushed to the registry on ops1"


def stock(maker: Maker, base_tag: str, registry_ready: threading.Event) -> None:
    """Make the services' and examples' images, and push each as soon as it can be."""
    services = images.service_images(base_tag, maker.source)
    pushes: list[Future] = []
    with ThreadPoolExecutor(BUILDERS) as builders, ThreadPoolExecutor(BUILDERS) as pushers:

        def make_and_push(image: Image) -> None:
            maker.make(image)
            pushes.append(pushers.submit(maker.push, image, registry_ready))

        finish([builders.submit(make_and_push, image) for image in services.values()], maker.shell.abort)
        examples = images.example_images(services, paths.ROOT / "examples")
        finish([builders.submit(make_and_push, image) for image in examples], maker.shell.abort)
        finish(pushes, maker.shell.abort)


def bring_up_hosts(
    shell: Shell,
    engine: Engine,
    wanted: Sequence[Host],
    tags: dict[str, str],
    subnet: str,
    registry_ready: threading.Event,
) -> tuple[str, list[Host]]:
    """Start the hosts side by side; write keys, ssh files and a first status.json.

    Returns when the rehearsal began, and its hosts.
    """
    lost = not (paths.STATE / "status.json").exists()
    mark = state.owner()
    started = state.now() if lost else state.read().get("started", state.now())
    public_key = trust.ssh_key(paths.STATE / "ssh_key")
    trust.secret_values(paths.STATE / "secrets.env")
    names = [f"{name}.{plan.DOMAIN}" for name in plan.GATEWAY_NAMES] + [f"*.{plan.DOMAIN}"]
    trust.certificates(paths.STATE / "tls", paths.STATE / "ca.crt", names)

    found = hosts.containers(shell, engine.docker)
    hosts.network(shell, engine.docker, subnet)
    # A host on demand that is up already stays part of the rehearsal.
    present = [*wanted, *(h for h in plan.ON_DEMAND if h not in wanted and ours(found.get(h.container), mark))]
    # Written before as well: a run that is killed from here on is seen to be half-way.
    state.write(state.status("starting", present, subnet, started))
    keys: dict[str, str] = {}

    def one(host: Host) -> None:
        units = ["docker-registry.service"] if host.name == "ops1" else []
        tag = tags[host.image]
        keys[host.name] = hosts.bring_up(
            shell, engine, host, tag, subnet, mark, found.get(host.container), public_key, units
        )
        if units:
            registry.wait_until_ready()
            registry_ready.set()

    try:
        with ThreadPoolExecutor(len(present)) as pool:
            finish([pool.submit(one, host) for host in present], shell.abort)
    finally:
        registry_ready.set()
    key, known = paths.STATE / "ssh_key", paths.STATE / "known_hosts"
    known.write_text(hosts.known_hosts(keys, present, subnet))
    (paths.STATE / "ssh_config").write_text(hosts.ssh_config(present, str(key), str(known), state.control_path()))
    state.write(state.status("starting", present, subnet, started))
    return started, present


def ours(found: dict | None, mark: dict[str, str]) -> bool:
    """Whether a container is this rehearsal's."""
    return found is not None and found["labels"].get("changeover.owner") == mark["changeover.owner"]


def finish(futures: Sequence[Future], abort: Callable[[], None]) -> None:
    """Wait for all; when one fails, end the others' commands at once and raise that first error."""
    done, _ = wait(futures, return_when=FIRST_EXCEPTION)
    if all(future.exception() is None for future in done):
        return
    for future in futures:
        future.cancel()
    abort()
    wait(futures)
    errors = [future.exception() for future in futures if not future.cancelled() and future.exception()]
    raise next((error for error in errors if not isinstance(error, Ended)), errors[0]) or RuntimeError()
