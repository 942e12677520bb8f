"""The script that puts certbot's certificates where nginx loads them, run on a folder that stands for a host."""

from __future__ import annotations

import json
import os
import ssl
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from plans import good
from test_certificates import DIRECTORY, first, hosts
from test_gateway import server

from changeover import certificates, gateway
from facts.certificates import SCRIPT, Certificates

TEXT = SCRIPT.read_text()


class Host:
    """A folder that stands for a gateway host, with a docker that notes what nginx is told."""

    def __init__(self, root: Path) -> None:
        self.root, self.base = root, root / "gateway"
        (self.base / "conf/tls").mkdir(parents=True)
        self.pem = self.base / "conf/tls/shop.pem"
        self.systems = ["shop=shop.test"]
        (self.base / "compose.yaml").touch()
        self.text = TEXT.replace("/etc/letsencrypt/", f"{root}/le/")
        assert self.text.count(f"{root}/le/") == 2
        (root / "bin").mkdir()
        self.docker()

    def docker(self, test: int | str = 0, up: bool = True, answers: bool = True) -> None:
        """What `nginx -t` ends with (a number, or a command); whether the gateway runs, and the engine answers."""
        said = "echo id" if up else "true" if answers else "echo Cannot connect to the Docker daemon"
        lines = ["#!/bin/sh", f'case "$*" in *" ps "*) {said}; exit {int(not answers)};; esac']
        check = test if isinstance(test, str) else f"echo refused by test; exit {test}"
        lines += [f'echo "$*" >> {self.root}/told', f'case "$*" in *" -t "*) {check};; esac']
        (self.root / "bin/docker").write_text("\n".join(lines) + "\n")
        (self.root / "bin/docker").chmod(0o755)

    def run(self, verb: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PATH": f"{self.root}/bin:{os.environ['PATH']}"}
        words = [sys.executable, "-c", self.text, verb, str(self.base), *self.systems]
        return subprocess.run(words, capture_output=True, text=True, timeout=60, env=env)

    def look(self) -> dict[str, Any]:
        return json.loads(self.run("look").stdout)

    def told(self) -> list[str]:
        """What nginx was told, the first word after its configuration."""
        lines = (self.root / "told").read_text().splitlines() if (self.root / "told").exists() else []
        return [line.partition("nginx.conf ")[2] for line in lines]

    def certbot(self, name: str = "shop.test", fits: bool = True) -> str:
        """certbot keeps a new certificate; what lies where nginx looks when it is in place."""
        live, renewal = self.root / f"le/live/changeover-{name.partition('.')[0]}", self.root / "le/renewal"
        for folder in (live, renewal):
            folder.mkdir(parents=True, exist_ok=True)
        (renewal / "changeover-shop.conf").write_text(f"[renewalparams]\naccount = 1\nserver = {DIRECTORY}\n")
        make(live / "privkey.pem", live / "cert.pem", name)
        if not fits:
            make(live / "privkey.pem", live / "away.pem", name)
        (live / "fullchain.pem").write_text((live / "cert.pem").read_text())
        return (live / "privkey.pem").read_text() + (live / "fullchain.pem").read_text()


def make(key: Path, certificate: Path, name: str) -> None:
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-days", "30", "-subj", "/CN=test", "-addext", f"subjectAltName=DNS:{name}"]
    subprocess.run([*words, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_the_script_knows_where_nginx_looks() -> None:
    assert f'CONF = "{gateway.CONF}/nginx.conf"' in TEXT
    assert f'LIVE = "{certificates.CERTBOT}/live/{certificates.lineage("")}"' in TEXT


def test_a_bare_host_has_nothing(host: Host) -> None:
    found = host.look()
    assert (found["pairs"], found["certificates"], found["loaded"], found["served"]) == ([], {}, False, {})


def test_what_a_gateway_serves_is_read_from_its_own_files(host: Host) -> None:
    servers = host.base / "conf/servers"
    servers.mkdir()
    for text, now in (
        (server(hosts()), ["shop.test", True]),
        (server(good()), ["shop.test", False]),
        (first(hosts()).replace("hello.test", "shop.test"), ["shop.test", False]),
    ):
        (servers / "shop.conf").write_text(text)
        found = Certificates.process(Certificates(), [json.dumps(host.look())])
        assert host.look()["served"] == {"shop": now} and found.served == {"shop": tuple(now)}


def test_nginx_can_start_before_there_is_a_certificate(host: Host) -> None:
    assert host.run("begin").returncode == 0
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(host.pem)
    assert stat.S_IMODE(host.pem.stat().st_mode) == 0o600 and host.look()["pairs"] == ["shop"]
    first = host.pem.read_text()
    assert host.run("begin").returncode == 0 and host.pem.read_text() == first


def test_a_certificate_that_was_given_by_files_serves_until_there_is_another(host: Host) -> None:
    tls = host.base / "conf/tls"
    make(tls / "shop.key", tls / "shop.crt", "shop.test")
    host.run("begin")
    assert host.pem.read_text() == (tls / "shop.key").read_text() + (tls / "shop.crt").read_text()


def test_a_new_certificate_is_checked_and_loaded_once(host: Host) -> None:
    host.run("begin")
    new = host.certbot()
    assert host.look()["certificates"]["shop"]["in_place"] is False
    done = host.run("install")
    assert done.returncode == 0 and "loaded shop.pem" in done.stdout
    assert host.pem.read_text() == new and host.told() == ["-t -q", "-t -q", "-s reload"]
    assert stat.S_IMODE(host.pem.stat().st_mode) == 0o600
    assert host.run("install").returncode == 0 and len(host.told()) == 3
    found = host.look()
    assert found["loaded"] and found["certificates"]["shop"]["in_place"]
    assert (found["certificates"]["shop"]["names"], found["certificates"]["shop"]["server"]) == (
        ["shop.test"],
        DIRECTORY,
    )
    assert 29 * 86400 < found["certificates"]["shop"]["ends"] - found["now"] < 31 * 86400


def test_a_run_that_was_killed_before_the_reload_is_mended_by_the_next(host: Host) -> None:
    host.run("begin")
    host.pem.write_text(host.certbot())
    assert host.look()["loaded"] is False
    assert host.run("install").returncode == 0 and host.told() == ["-t -q", "-s reload"]


def test_a_pair_that_does_not_fit_is_not_put_in_place(host: Host) -> None:
    host.run("begin")
    host.run("install")
    before, _ = host.pem.read_text(), host.certbot(fits=False)
    done = host.run("install")
    assert done.returncode == 1 and "key and certificate do not fit" in done.stderr
    assert host.pem.read_text() == before and host.told() == ["-t -q", "-s reload"]
    assert sorted(os.listdir(host.pem.parent)) == ["shop.pem"]


def test_what_nginx_refuses_goes_back(host: Host) -> None:
    host.run("begin")
    before, _ = host.pem.read_text(), host.certbot()
    host.docker(test=1)
    done = host.run("install")
    assert done.returncode == 1 and "refused by test" in done.stderr and "the one before serves" in done.stderr
    assert host.pem.read_text() == before and "-s reload" not in host.told() and not host.look()["loaded"]
    host.docker()
    assert host.run("install").returncode == 0 and host.told()[-2:] == ["-t -q", "-s reload"]


def test_an_engine_that_does_not_answer_is_no_gateway_that_does_not_run(host: Host) -> None:
    host.run("begin")
    before, new = host.pem.read_text(), host.certbot()
    host.docker(up=False, answers=False)
    done = host.run("install")
    assert done.returncode == 1 and "does not say whether the gateway runs (Cannot connect to the" in done.stderr
    assert host.pem.read_text() == before and not host.look()["loaded"]
    host.docker()
    assert host.run("install").returncode == 0 and host.pem.read_text() == new and host.told()[-1] == "-s reload"


def test_a_gateway_that_was_never_installed_does_not_run(host: Host) -> None:
    (host.base / "compose.yaml").unlink()
    host.certbot()
    host.docker(up=False, answers=False)
    assert host.run("install").returncode == 0 and host.look()["loaded"]


def test_one_bad_pair_does_not_keep_the_others_from_being_loaded(host: Host) -> None:
    host.systems = ["bad=bad.test", "shop=shop.test", "cafe=cafe.test"]
    host.run("begin")
    bad, cafe = (host.base / f"conf/tls/{name}.pem" for name in ("bad", "cafe"))
    old = {path: path.read_text() for path in (bad, cafe)}
    host.certbot("bad.test", fits=False)
    new = host.certbot()
    refused = host.certbot("cafe.test")
    marker = host.root / "refused"
    marker.write_text(refused)
    host.docker(test=f"cmp -s {marker} {cafe} && echo refused by test && exit 1; exit 0")
    done = host.run("install")
    assert done.returncode == 1 and "loaded shop.pem" in done.stdout
    assert "changeover-bad: key and certificate do not fit" in done.stderr
    assert f"nginx refused the new {cafe}; the one before serves" in done.stderr and "refused by test" in done.stderr
    assert host.pem.read_text() == new and {path: path.read_text() for path in old} == old
    assert host.told().count("-s reload") == 1 and host.told()[-1] == "-s reload"
    assert host.run("install").returncode == 1, "it says so until it is mended"
    assert host.told().count("-s reload") == 1


def test_a_gateway_that_does_not_run_loads_it_when_it_starts(host: Host) -> None:
    host.run("begin")
    new = host.certbot()
    host.docker(up=False)
    assert host.run("install").returncode == 0
    assert host.pem.read_text() == new and host.told() == [] and host.look()["loaded"]
