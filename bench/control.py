"""Control groups: the same load on ways of switching that lose requests, or the load cannot see a loss.

A plain nginx beside the gateway (same image, same limits, a port of its own) sends to the same slots. Once its upstream
file is rewritten and it is reloaded, again and again; once the containers behind it are stopped, then started.
"""

from __future__ import annotations

import contextlib
import runpy
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench import moves
from bench.hosts import COORDINATOR, SYSTEM, Hosts
from bench.run import BenchError
from changeover.firewall import FILE, TABLE
from rehearsal.errors import RehearsalError
from rehearsal.load import beside

NAME, FOLDER, PORT = "changeover-bench", "/run/changeover-bench", 18443
SECONDS = 60.0  # of load for each group
ROUNDS = 3  # times that a group may try to lose something
BETWEEN = {"reload": 1.5, "stop": 15.0}  # seconds between two switches, two stops
GRACE = 10  # seconds that `docker stop` gives by default


def measure(hosts: Hosts, folder: Path, load: Sequence[str]) -> dict[str, Any]:
    """Requests, losses and switches of each group. Raises BenchError when one lost nothing: then nothing is proven."""
    where = ["--gateway", f"{hosts.address[COORDINATOR]}:{PORT}"]
    with plain_nginx(hosts):
        return {
            "reload": group(hosts, folder / "reload.json", [*load, *where], reload, BETWEEN["reload"]),
            "stop": group(hosts, folder / "stop.json", [*load, *where], stop_and_start, BETWEEN["stop"]),
        }


def group(
    hosts: Hosts, out: Path, load: Sequence[str], switch: Callable[[Hosts, int], None], every: float
) -> dict[str, Any]:
    """One group: switches while the load runs, until something was lost."""
    switches = requests = 0
    for _ in range(ROUNDS):
        with beside.load(out, *load, seconds=600, requests=200_000) as running:
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                switch(hosts, switches)
                switches += 1
                time.sleep(every)
        result = running.result
        requests += result["sent"]
        if result["failed"]:
            kinds = {name: kind["count"] for name, kind in result["failures"].items()}
            print(f" control    {out.stem}: {result['failed']} of {requests} lost in {switches} times", flush=True)
            return {"switches": switches, "sent": requests, "failed": result["failed"], "failures": kinds}
    raise BenchError(f"control group {out.stem} lost nothing of {requests} requests: a loss would not be seen; void")


def reload(hosts: Hosts, number: int) -> None:
    """The upstream file names the other slots, and nginx is told."""
    text = shlex.quote(upstreams(hosts.address, "green" if number % 2 else "blue"))
    hosts.shell(COORDINATOR, f"printf %s {text} > {FOLDER}/upstream.conf && docker exec {NAME} {_nginx('-s reload')}")


def stop_and_start(hosts: Hosts, number: int) -> None:
    """The idle slots behind the plain nginx are stopped, then started, on all hosts at once."""
    if number == 0:
        reload(hosts, int(moves.idle(hosts)["api"] == "green"))
    moves.everywhere(
        lambda host, names: hosts.shell(host, f"docker stop -t {GRACE} {(n := ' '.join(names))} && docker start {n}"),
        moves.idle_containers(hosts),
    )


@contextlib.contextmanager
def plain_nginx(hosts: Hosts) -> Iterator[None]:
    """The plain nginx runs on the coordinator; nothing is left of it afterwards."""
    env = Environment(loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined)
    conf = env.get_template("control.conf.j2").render(folder=FOLDER, port=PORT, system=SYSTEM)
    first = upstreams(hosts.address, "blue")
    remove = f"docker rm -f {NAME} >/dev/null 2>&1; rm -rf {FOLDER}; nft -f {FILE}"  # the rules, without a port for it
    image = "$(docker inspect -f '{{.Config.Image}}' gateway-nginx-1)"
    start = f"""{remove} && nft insert rule {TABLE} input tcp dport {PORT} accept &&
mkdir {FOLDER} && printf %s {shlex.quote(conf)} > {FOLDER}/nginx.conf &&
printf %s {shlex.quote(first)} > {FOLDER}/upstream.conf &&
docker run -d --name {NAME} --network host --cpus 0.5 -m 256M -v {FOLDER}:{FOLDER}:ro \\
  -v /srv/gateway/conf/tls:/tls:ro {image} {_nginx("-g 'daemon off;'")}
for _ in $(seq 50); do curl -skf https://127.0.0.1:{PORT}/api/health >/dev/null && exit 0; sleep 0.2; done
docker logs {NAME}; exit 1"""
    try:
        hosts.shell(COORDINATOR, start)
        yield
    except RehearsalError as error:
        raise BenchError(error.text().removeprefix("error  ")) from None
    finally:
        hosts.shell(COORDINATOR, remove)


def _nginx(words: str) -> str:
    return f"nginx -c {FOLDER}/nginx.conf {words}"


def upstreams(address: dict[str, str], slot: str) -> str:
    """The upstream file that names this slot's ports, as group_data has them."""
    services = runpy.run_path(f"group_data/{SYSTEM}.py")[SYSTEM]["services"]
    hosts = {"api": ("app1", "app2"), "dashboard": (COORDINATOR,)}
    blocks = []
    for service, names in hosts.items():
        port = services[service].get("slots", {})[slot]
        servers = "".join(f"    server {address[name]}:{port};\n" for name in names)
        blocks.append(f"upstream {service} {{\n{servers}    keepalive 64;\n    keepalive_timeout 30s;\n}}\n")
    return "".join(blocks)
