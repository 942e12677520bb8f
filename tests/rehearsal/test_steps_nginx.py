"""Weighted steps in the gateway's own nginx: how many clients each step takes, who stays where, and who is let in.

The rehearsal's gateway image with the files that a gateway gets, slots that the host command marks, and ten thousand
clients; no host is touched.
"""

import http.client
import itertools
import os
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from changeover import early, fleet, gateway
from changeover.secrets import Secrets
from hostcmd import gateway as marks
from hostcmd import site, state
from tests.unit.plans import FLEET, SHOP

CLIENTS = 10_000
SECRETS = Secrets(Path("/nonexistent"), {"EARLY_SECRET": "a secret of the tests"})
STEPS = [{"who": {"teams": ["internal"]}}, 5, {"who": {"percent": 25, "users": ["dana"]}}, 50]
KEPT = "changeover_step_shop"
SLOT = """
server {{
    listen 127.0.0.1:{port};
    location / {{ default_type application/json; return 200 '{{"slot":"{slot}","uri":"$uri"}}'; }}
    location ~ /assets/{slot} {{ return 200 "of {slot}"; }}
    location /dashboard/assets/ {{ return 404; }}
}}
"""


def plan() -> fleet.Plan:
    """A system of two services on one host: what both slots are is another server of the same nginx."""
    page = {"layer": 2, "on": "app", "port": 80, "slots": {"blue": 18010, "green": 18011}, "health": {"http": "/"}}
    routes = {"/dashboard": {"assets": "assets/"}}
    services = SHOP["services"] | {"page": page | {"routes": routes, "image": "x/y:{release}"}}
    release = {"steps": STEPS, "early_secret": "EARLY_SECRET", "probe": [{"path": "/api/health"}]}
    data = {"fleet": FLEET, "address": "127.0.0.1", "shop": {**SHOP, "services": services, "release": release}}
    return fleet.load([("one", ["edge", "app", "data", "shop", "staging"], data)])


class Gateway:
    """nginx in a container, and clients of it."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._port = folder, port
        services = {name: site.Service(name, ("one",), True, False, 1, 1, 1) for name in ("api", "page")}
        self._services = services
        self._site = site.Site(
            root=str(folder), system="shop", me="one", environment="staging", coordinator="one", gateways=("one",),
            hosts={}, services=services, run_dir="/", slots_dir="/slots/shop", lease=1, keep_warm=1, keep_releases=1,
        )  # fmt: skip
        self._numbers = itertools.count(1)

    def at(self, percent: int | None) -> None:
        """As the host command does it: a new generation, and one rename."""
        steps = [step for step in (0, 5, 25, 50) if step <= (percent or 0)]
        weight = None if percent is None else {"percent": percent, "steps": steps}
        slots = {name: {"live": "blue", "blue": "1.0.0", "green": "1.1.0"} for name in self._services}
        now = {**state.EMPTY, "slots": slots, "staged": list(slots), "weight": weight}
        number = next(self._numbers)
        marks.prepare(self._site, number, state.marks(now, self._services))
        marks.flip(self._site, number)

    def ask(
        self, client: http.client.HTTPConnection, agent: str, path: str = "/api/x", **headers: str
    ) -> tuple[str, str]:
        """(slot that answered, the cookie that was set)."""
        sent = {"Host": "shop.test", "User-Agent": agent} | {k.replace("_", "-"): v for k, v in headers.items()}
        client.request("GET", path, headers=sent)
        answer = client.getresponse()
        text = answer.read().decode()
        assert answer.status == 200, (answer.status, text)
        return "green" if "green" in text else "blue", answer.headers.get("set-cookie", "")

    def client(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)

    def greens(self, count: int = CLIENTS) -> set[int]:
        """Which of so many clients without cookies are on green."""
        client = self.client()
        return {number for number in range(count) if self.ask(client, f"client {number}")[0] == "green"}


@pytest.fixture(scope="module")
def nginx(tmp_path_factory):
    found = subprocess.run(
        ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "reference=changeover/nginx"],
        capture_output=True, text=True, check=True, timeout=30,
    ).stdout.split()  # fmt: skip
    assert found, "the rehearsal's images are not there; run: make rehearsal"
    folder = tmp_path_factory.mktemp("gateway")
    base = folder / "conf"
    for file in gateway.files(plan(), "one", secrets=SECRETS):
        path = base / file.path.removeprefix("/srv/gateway/conf/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.content)
        path.chmod(int(file.mode, 8))
    ports = {18000: "blue", 18001: "green", 18010: "blue", 18011: "green"}
    (base / "servers/slots.conf").write_text("".join(SLOT.format(port=p, slot=slot) for p, slot in ports.items()))
    (folder / "slots/shop").mkdir(parents=True)
    name = f"changeover-test-steps-{os.getpid()}"
    mounts = ["-v", f"{base}:{gateway.CONF}:ro", "-v", f"{folder / 'slots'}:{gateway.SLOTS}:ro"]
    program = ["nginx", "-c", f"{gateway.CONF}/nginx.conf", "-g", "daemon off;"]
    words = ["docker", "run", "--rm", "-d", "--name", name, "-p", "127.0.0.1::80", *mounts, found[0], *program]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    try:
        where = subprocess.run(["docker", "port", name, "80"], capture_output=True, text=True, check=True, timeout=30)
        made = Gateway(folder, int(where.stdout.split()[0].rpartition(":")[2]))
        made.at(None)
        made_up(made, name)
        yield made
    finally:
        subprocess.run(["docker", "rm", "-f", name], capture_output=True, timeout=60)


def made_up(made: Gateway, name: str) -> None:
    """nginx answers; or what it said instead."""
    for _ in range(50):
        try:
            made.ask(made.client(), "the test")
            return
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)
    said = subprocess.run(["docker", "logs", name], capture_output=True, text=True, timeout=30)
    pytest.fail(f"nginx does not answer: {said.stdout}{said.stderr}")


def test_each_step_takes_its_share_and_holds_the_one_before(nginx):
    nginx.at(0)
    assert not nginx.greens(1000)
    found: dict[int, set[int]] = {}
    for percent, count in ((5, 2000), (25, CLIENTS), (50, 2000)):
        nginx.at(percent)
        found[percent] = nginx.greens(count)
        # Three times the spread of so many coins. The clients are always the same, and so is what they draw.
        spread = 3 * (count * percent * (100 - percent)) ** 0.5 / 100
        assert abs(len(found[percent]) - count * percent / 100) < spread, (percent, len(found[percent]))
    assert found[5] <= found[25] and {one for one in found[25] if one < 2000} <= found[50], "who has it keeps it"
    nginx.at(5)
    assert nginx.greens(2000) == found[5], "and back: those who had it first"
    nginx.at(None)
    assert not nginx.greens(1000)


def test_parts_are_drawn_evenly_and_kept_in_a_cookie(nginx):
    nginx.at(25)
    client, parts = nginx.client(), Counter()
    for number in range(2000):
        slot, cookie = nginx.ask(client, f"client {number}")
        kept, *rest = cookie.split("; ")
        part = int(kept.removeprefix(f"{KEPT}="))
        assert rest == ["Path=/", "Max-Age=2592000", "HttpOnly", "SameSite=Lax"]
        assert slot == ("green" if part < 25 else "blue"), "the first answer is of the slot that the cookie keeps"
        parts[part] += 1
        if number < 200:  # another address, another program: the cookie says where it belongs
            assert nginx.ask(client, f"another {number}", Cookie=f"a=b; {kept}") == (slot, "")
    assert len(parts) == 100 and max(parts.values()) < 50


def test_a_cookie_that_is_none_of_ours_is_drawn_anew(nginx):
    nginx.at(50)
    client = nginx.client()
    for value in ("100", "-1", "007", "5x", "50%", "../../api.green", "green", ""):
        slot, cookie = nginx.ask(client, "somebody")
        assert nginx.ask(client, "somebody", Cookie=f"{KEPT}={value}") == (slot, cookie) and cookie, value


@pytest.mark.parametrize("path", ["/api/x", "/api/health", "/dashboard/"])
def test_page_api_and_health_are_of_one_release(nginx, path):
    nginx.at(25)
    client = nginx.client()
    for number in range(100):
        assert nginx.ask(client, f"client {number}", path)[0] == nginx.ask(client, f"client {number}")[0]


def test_a_page_of_either_slot_gets_its_assets_from_it(nginx):
    nginx.at(25)
    client = nginx.client()
    for number in range(60):
        for slot in ("blue", "green"):
            answer, cookie = nginx.ask(client, f"client {number}", f"/dashboard/assets/{slot}.js?{number}")
            assert answer == slot and not cookie, "what may be cached for all sets no cookie"


@pytest.mark.parametrize("how", ["header", "cookie"])
def test_who_was_chosen_is_let_in_first_and_nobody_else(nginx, how):
    def slot(value: str, agent: str = "client 0", name: str = early.cookie("shop")) -> str:
        sent = {early.HEADER: value} if how == "header" else {"Cookie": f"a=b; {name}={value}"}
        return nginx.ask(client, agent, "/dashboard/", **sent)[0]

    client = nginx.client()
    internal, dana = (early.signed("a secret of the tests", "shop", name) for name in ("internal", "dana"))
    nginx.at(25)
    blue = next(f"client {n}" for n in range(1000) if nginx.ask(client, f"client {n}")[0] == "blue")
    assert (slot(internal, blue), slot(dana, blue)) == ("green", "green")
    nginx.at(5)
    assert (slot(internal, blue), slot(dana, blue)) == ("green", "blue"), "she is of the next step"
    nginx.at(0)
    assert slot(internal, blue) == "green"
    foreign = early.signed("a secret of the tests", "hello", "internal")
    other = early.signed("another secret of theirs", "shop", "internal")
    renamed = f"dana.{internal.partition('.')[2]}"
    for forged in (foreign, other, renamed, internal[:-1], internal + "0", internal.upper(), "internal", "0", "25", ""):
        assert slot(forged, blue) == "blue", forged
    nginx.at(None)
    assert slot(internal, blue) == "blue", "without a step there is nothing to be early for"


def test_no_request_falls_between_two_generations(nginx):
    """nginx looks for one mark after the other, and the symlink may be renamed in between."""
    slots = Path(nginx._site.path("/slots/shop"))
    for number, slot in ((9001, "blue"), (9002, "green")):
        marks.prepare(nginx._site, number, {"api": slot, "page": slot})
    stop = threading.Event()

    def flip() -> None:
        for number in itertools.cycle((9001, 9002)):
            link = slots / ".live.test"
            link.symlink_to(str(number))
            link.replace(slots / "live")
            if stop.wait(0.0005):
                return

    thread, client, lost = threading.Thread(target=flip), nginx.client(), 0
    thread.start()
    try:
        for _ in range(CLIENTS):
            client.request("GET", "/api/x", headers={"Host": "shop.test"})
            answer = client.getresponse()
            answer.read()
            lost += answer.status == 503
    finally:
        stop.set()
        thread.join()
        nginx._numbers = itertools.count(9003)
        nginx.at(None)
    assert lost <= 1, "one could meet two renames on a machine that is this busy"


def test_an_unknown_mark_leaves_everybody_where_all_are(nginx):
    """Settings that know other steps than the generation: nobody is without a slot."""
    folder = Path(nginx._site.path("/slots/shop"))
    nginx.at(5)
    before = nginx.greens(500)
    (folder / "live" / "api.green_33").touch()
    assert before and nginx.greens(500) == before
    for mark in (folder / "live").resolve().glob("api.green_5"):
        mark.unlink()
    assert not nginx.greens(500)
