"""Certificates of an authority: when one is asked for, what is said, and the script that puts them in place."""

from __future__ import annotations

import json
import os
import ssl
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import Outcome
from plans import Hosts, good, on_all
from test_gateway import files as gateway_files
from test_gateway import location, server

from changeover import certificates, fleet, gateway
from changeover.certificates import Certificate, Demand, Look
from operations import certificates as operations

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "operations/on_host/certificates.py").read_text()
NOW, DIRECTORY = 1_800_000_000.0, "https://acme.test/dir"


def hosts(**more: Any) -> Hosts:
    """The good plan with certificates of a private authority for both systems."""
    found = good()
    acme = {"email": "ops@example.com", "directory": DIRECTORY, **more}
    on_all("overrides", {"fleet.gateway.acme": acme, "shop.tls": "acme", "hello.tls": "acme"})(found)
    return found


def kept(days: float = 60, **more: Any) -> Certificate:
    values: dict[str, Any] = {"server": DIRECTORY, "ends": NOW + days * 86400, "names": ("a.test",), "in_place": True}
    return Certificate(**values | more)


def asked(found: Certificate | None) -> Demand | None:
    return certificates.demand("a.test", DIRECTORY, Look(now=NOW), found)


def test_a_good_certificate_is_not_asked_for_again() -> None:
    assert asked(kept(60)) is None and asked(kept(14.1)) is None


@pytest.mark.parametrize(
    "found, why, must, first",
    [
        (None, "there is none yet", True, True),
        (kept(names=("b.test",)), "the one that is there is for b.test", True, True),
        (kept(-1), "the one that is there has ended", True, False),
        (kept(server="https://b/"), "the one that is there is of https://b/", False, False),
        (kept(13.5), "the one that is there ends in 13 days, and certbot.timer has not renewed it", False, False),
        (kept(1.5), "the one that is there ends in 1 day, and certbot.timer has not renewed it", False, False),
    ],
)
def test_why_one_is_asked_for(found: Certificate | None, why: str, must: bool, first: bool) -> None:
    assert asked(found) == Demand(why, must, first)


def test_the_server_file_as_a_whole(golden: Callable[[str, str], None]) -> None:
    golden("edge1.gateway.server.acme.conf", server(hosts(), "hello"))


def test_the_authority_is_answered_over_plain_http_before_users_are_sent_on() -> None:
    text = server(hosts())
    plain = text[: text.index("ssl_certificate ")]
    assert "root /etc/nginx/slots/.acme;" in plain and "$maintenance" not in plain
    assert plain.index("location ^~ /.well-known/acme-challenge/") < plain.index("return 308 https://")
    assert "/srv/gateway/slots/.acme" in [one.path for one in gateway.directories(fleet.load(hosts()), "edge1")]
    assert "return 503" in location(text, "/api/"), "the maintenance page is where it was"


def test_key_and_certificate_are_one_file_that_no_run_sends() -> None:
    assert "ssl_certificate /etc/nginx/changeover/tls/shop.pem;" in server(hosts())
    assert "ssl_certificate_key /etc/nginx/changeover/tls/shop.pem;" in server(hosts())
    assert not [path for path in gateway_files(hosts()) if path.startswith("tls/")]


def test_without_an_authority_nothing_is_different() -> None:
    plan = fleet.load(good())
    assert certificates.systems(plan, "edge1") == {} and "acme" not in server(good())
    assert not [one.path for one in gateway.directories(plan, "edge1") if ".acme" in one.path]


def test_certbots_words() -> None:
    words = certificates.request(fleet.load(hosts()), "shop", "shop.test")
    text = " ".join(words)
    assert text.startswith("timeout 180 env REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt certbot certonly ")
    assert f"--server {DIRECTORY} --webroot --webroot-path /srv/gateway/slots/.acme " in text
    assert "--cert-name changeover-shop --domain shop.test " in text and "--force-renewal" in words


def test_what_the_timer_runs_with(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("a private CA\n")
    plan = fleet.load(hosts(ca=str(tmp_path / "ca.pem")))
    found = {one.path: one for one in certificates.files(plan, "edge1", "the script\n")}
    hook = found["/etc/letsencrypt/renewal-hooks/post/changeover"]
    line = f"exec python3 {certificates.SCRIPT} install /srv/gateway shop=shop.test hello=hello.test\n"
    assert hook.mode == "755" and hook.content.endswith(line)  # type: ignore[arg-type]
    again = f"ExecStopPost=/usr/bin/python3 {line.removeprefix('exec python3 ')}"
    assert again in found[certificates.SERVICE].content, "a hook that failed is tried again"  # type: ignore[operator]
    assert "Environment=REQUESTS_CA_BUNDLE=/etc/letsencrypt/changeover-ca.pem\n" in found[certificates.SERVICE].content  # type: ignore[operator]
    assert found[certificates.BUNDLE].content == "a private CA\n" and plan.trusted("shop") == str(tmp_path / "ca.pem")
    assert all(
        "managed by changeover" in str(one.content) for path, one in found.items() if path != certificates.BUNDLE
    )
    public = {one.path: one for one in certificates.files(fleet.load(hosts()), "edge1", "")}
    assert certificates.BUNDLE not in public and certificates.PUBLIC in public[certificates.SERVICE].content  # type: ignore[operator]


AUTHORITY = """Saving debug log to /var/log/letsencrypt/letsencrypt.log
Certbot failed to authenticate some domains (authenticator: webroot). The Certificate Authority reported these problems:
  Identifier: shop.test
  Type:   connection
  Detail: Fetching http://shop.test/.well-known/acme-challenge/x: Connection refused

Hint: The Certificate Authority failed to download the temporary challenge files created by Certbot.

Some challenges have failed.
Ask for help or search for solutions at https://community.letsencrypt.org.
"""
UNREACHABLE = """Saving debug log to /var/log/letsencrypt/letsencrypt.log
An unexpected error occurred:
requests.exceptions.ConnectionError: HTTPSConnectionPool(host='acme.test', port=443): Connection refused
Ask for help or search for solutions at https://community.letsencrypt.org. See the logfile for more.
"""


@pytest.mark.parametrize(
    "said, why",
    [
        (AUTHORITY, "Fetching http://shop.test/.well-known/acme-challenge/x: Connection refused"),
        (
            UNREACHABLE,
            "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='acme.test', port=443): Connection refused",
        ),
        ("Another instance of Certbot is already running.\n", "Another instance of Certbot is already running."),
        ("", "certbot said nothing"),
    ],
)
def test_the_reason_in_all_that_certbot_says(said: str, why: str) -> None:
    assert certificates.reason(said.splitlines()) == why


def obtain(run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, there: Certificate | None) -> Outcome:
    """The operation with an authority that does not answer."""
    monkeypatch.setattr(operations, "shell", lambda *_: (False, UNREACHABLE.splitlines()))
    monkeypatch.setattr(operations.flow, "NOTES", [])
    look = Look(now=NOW, certificates={"shop": there} if there else {})
    monkeypatch.setattr(operations.Certificates, "process", lambda self, output: look)
    monkeypatch.setattr(operations.Certificates, "default", staticmethod(lambda: look))
    values = {"authority": DIRECTORY, "words": ["certbot"], "directory": "/srv/gateway", "pairs": ["shop=a.test"]}
    return run(operations.obtained, system="shop", domain="a.test", **values)


def test_a_first_certificate_that_cannot_be_had_ends_the_run(
    run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert obtain(run, monkeypatch, None).failed
    text = "\n".join(next(iter(operations.flow.FAILURES.values())))
    assert text.startswith(f"shop: no certificate for a.test from {DIRECTORY} (there is none yet)\nwhy    requests.")
    assert "\nnext   see that http://a.test/ leads to port 80 of @fake/one" in text and "letsencrypt.log" in text


def test_one_that_is_good_until_later_is_a_note(run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    assert not obtain(run, monkeypatch, kept(9.5)).failed
    (note,) = operations.flow.NOTES
    assert "shop's certificate: the one that is there ends in 9 days, and certbot.timer has not renewed it" in note
    assert "none could be had now (requests.exceptions.ConnectionError" in note and note.endswith("good for 9 days")
    assert not obtain(run, monkeypatch, kept(60)).changed and operations.flow.NOTES == []


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
    assert (found["pairs"], found["certificates"], found["loaded"]) == ([], {}, False)


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
