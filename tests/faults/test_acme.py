"""Certificates of an authority (Debian's pebble): had, unchanged, renewed with one reload, and not needed each time."""

import hashlib
import json
import shlex
import socket
import ssl
import threading
import time
from pathlib import Path

import httpx
import pytest

from rehearsal import one, plan
from rehearsal.progress import Progress
from rehearsal.shell import Shell
from tests import support
from tests.support import ROOT, pyinfra, ssh, wait_for

ACME = next(host for host in plan.ON_DEMAND if host.name == "acme1")
INVENTORY = "tests/faults/acme_vm.py"
NAME = ACME.fqdn
DIRECTORY = f"https://{NAME}:14000/dir"
PEM = "/srv/gateway/conf/tls/hello.pem"
PEBBLE = {
    "listenAddress": "0.0.0.0:14000",
    "managementListenAddress": "127.0.0.1:15000",
    "certificate": "/etc/pebble/server.crt",
    "privateKey": "/etc/pebble/server.key",
    "httpPort": 80,
    "tlsPort": 443,
}


@pytest.fixture(scope="module", autouse=True)
def host():
    """A new host with an authority on it that does not run yet; its own HTTPS is of the rehearsal's CA."""
    shell = Shell(Progress(False))
    one.add(shell, ACME)
    ssh("acme1", "apt-get update -q && apt-get install -y -q --no-install-recommends pebble", limit=180)
    files = {part: (ROOT / ".rehearsal/tls" / f"server.{part}").read_text() for part in ("crt", "key")}
    wanted = {**{f"server.{part}": text for part, text in files.items()}, "config.json": json.dumps({"pebble": PEBBLE})}
    for name, text in wanted.items():
        ssh("acme1", f"mkdir -p /etc/pebble && umask 077 && cat > /etc/pebble/{name} <<'END'\n{text}\nEND")
    yield
    one.remove(shell, ACME.name)


def authority() -> str:
    """Starts pebble, quick and without tricks; the certificate that all of its own are of."""
    quick = "-E PEBBLE_VA_NOSLEEP=1 -E PEBBLE_WFE_NONCEREJECT=0"
    ssh("acme1", f"systemd-run -q --unit=pebble {quick} pebble -config /etc/pebble/config.json")
    return wait_for("pebble", lambda: ssh("acme1", "curl -sfk https://127.0.0.1:15000/roots/0"), 20)


def words(tmp_path: Path, root: str = "", **overrides) -> list[str]:
    """Words that give a run the small system alone, with certificates of the authority."""
    bundle = tmp_path / "ca.pem"
    if root or not bundle.exists():
        bundle.write_text((ROOT / ".rehearsal/ca.crt").read_text() + root)
    own = {
        "fleet.gateway.reach": f"127.0.0.1:{plan.ACME_HTTPS_PORT}",
        "fleet.gateway.acme": {"email": "ops@example.com", "directory": DIRECTORY, "ca": str(bundle)},
        "hello.domain": NAME,
        "hello.tls": "acme",
        **overrides,
    }
    found = support.data(tmp_path, own)
    with (tmp_path / "staging.py").open("a") as file:
        file.write('overrides = {key: one for key, one in overrides.items() if not key.startswith("tasktracker.")}\n')
    return found


def deploy(data: list[str]) -> support.Run:
    return pyinfra("deploy.py", "-y", "--json", *data, inventory=INVENTORY)


def served(bundle: Path | None = None) -> bytes:
    """The certificate that the gateway serves; with a bundle it must be of one in it, and for the name."""
    context = ssl.create_default_context(cafile=str(bundle)) if bundle else ssl._create_unverified_context()
    with socket.create_connection(("127.0.0.1", plan.ACME_HTTPS_PORT), 5) as raw:
        with context.wrap_socket(raw, server_hostname=NAME) as link:
            return link.getpeercert(binary_form=True) or b""


def watch_workers() -> None:
    """From now on the host writes down which workers the gateway has: each reload brings a new set of them."""
    master = "$(docker inspect -f '{{.State.Pid}}' gateway-nginx-1)"
    look = f"while sleep 0.05; do pgrep -P {master} -f worker.process; echo; done > /run/workers"
    ssh("acme1", f"systemd-run -q --unit=workers sh -c {shlex.quote(look)}")


def reloads() -> float:
    """How many sets of workers came after the first one."""
    seen = [set(one.split()) for one in ssh("acme1", "cat /run/workers").split("\n\n")]
    first = next(filter(None, seen))
    return len(set().union(*seen) - first) / len(first)


class Asking(threading.Thread):
    """GETs over one connection that is kept, until told to stop; what failed, and how many there were."""

    def __init__(self, bundle: Path):
        super().__init__(daemon=True)
        self.context = ssl.create_default_context(cafile=str(bundle))
        self.failed: list[str] = []
        self.sent, self.over = 0, threading.Event()

    def run(self) -> None:
        url = f"https://127.0.0.1:{plan.ACME_HTTPS_PORT}/"
        with httpx.Client(verify=self.context, headers={"Host": NAME}, timeout=5) as client:
            while not self.over.wait(0.02):
                self.sent += 1
                try:
                    answer = client.get(url, extensions={"sni_hostname": NAME})
                    if answer.status_code != 200:
                        self.failed.append(str(answer.status_code))
                except httpx.HTTPError as error:
                    self.failed.append(repr(error))


@pytest.mark.matrix  # some two minutes on a busy machine
def test_certificates_of_an_authority(tmp_path):
    # No authority: the first installation ends before a slot is touched, and says what to do.
    none = deploy(words(tmp_path))
    assert none.code == 1 and "Traceback" not in none.text, none.text
    assert f"hello: no certificate for {NAME} from {DIRECTORY} (there is none yet)" in none.text
    assert "why    " in none.text and "Connection refused" in none.text and "next   see that http://" in none.text
    assert f"the gateway answers for {NAME} over HTTP only" in none.text
    asked = f"curl -s -o /dev/null -w '%{{http_code}}' -H 'Host: {NAME}' http://127.0.0.1/"
    assert ssh("acme1", asked) in ("502", "503"), "nobody is sent to a certificate that nobody trusts"
    assert ssh("acme1", "ls /var/lib/changeover/hello/state.json 2>/dev/null || echo none") == "none"
    assert "hello-" not in ssh("acme1", "docker ps --format '{{.Names}}'")

    # It is there: the same again, and the certificate is its own.
    data, bundle = words(tmp_path, authority()), tmp_path / "ca.pem"
    first = deploy(data)
    assert first.code == 0, first.text
    before = served(bundle)
    private = (
        "find /etc/letsencrypt/accounts -type f -name private_key.json; readlink -f /etc/letsencrypt/live/*/privkey.pem"
    )
    modes = ssh("acme1", f"stat -c '%a %U' {PEM} $({private}) | sort -u").splitlines()
    assert modes in (["400 root", "600 root"], ["600 root"])
    assert ssh("acme1", "systemctl is-enabled certbot.timer; systemctl is-active certbot.timer") == "enabled\nactive"

    # The timer's own command renews it: nginx reloads once, and nobody notices.
    asking = Asking(bundle)
    watch_workers()
    asking.start()
    env = ssh("acme1", "systemctl show -p Environment --value certbot.service")
    ssh("acme1", f"env {env} certbot -q renew --no-random-sleep-on-renew --force-renewal", limit=120)
    renewed = wait_for("the new certificate", lambda: (now := served(bundle)) != before and now, 10)
    time.sleep(2)
    asking.over.set()
    asking.join(10)
    assert reloads() == 1
    assert asking.sent > 50 and asking.failed == []

    # A pair that does not fit leaves the one before serving.
    live = "/etc/letsencrypt/live/changeover-hello"
    ssh("acme1", f"cp -L {live}/privkey.pem /root/kept.pem; openssl genpkey -algorithm EC -pkeyopt "
        f"ec_paramgen_curve:prime256v1 > $(readlink -f {live}/privkey.pem)")  # fmt: skip
    bad = ssh("acme1", "/etc/letsencrypt/renewal-hooks/post/changeover 2>&1; echo $?", check=False)
    assert "key and certificate do not fit" in bad and bad.endswith("1")
    ssh("acme1", f"cat /root/kept.pem > $(readlink -f {live}/privkey.pem)")
    assert served() == renewed and reloads() == 1

    # A second run changes nothing, and needs no authority. That the certificate should be of another one is a note.
    ssh("acme1", "systemctl stop pebble")
    alone = deploy(data)
    assert alone.code == 0 and alone.changes == 0, alone.text
    other = DIRECTORY.replace("14000", "14001")
    moved = deploy(words(tmp_path, **{"fleet.gateway.acme.directory": other}))
    assert moved.code == 0, moved.text
    assert f"hello's certificate: the one that is there is of {DIRECTORY}; none could be had now (" in moved.text
    assert hashlib.sha256(served()).digest() == hashlib.sha256(renewed).digest()
