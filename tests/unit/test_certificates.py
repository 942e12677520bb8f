"""Certificates of an authority: when one is asked for, what is said, and what is served until there is one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fakes import Outcome
from plans import Hosts, good, on_all
from test_gateway import files as gateway_files
from test_gateway import location, server

from changeover import certificates, fleet, gateway
from changeover.certificates import Certificate, Demand, Look
from operations import certificates as operations

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


def first(hosts: Hosts) -> str:
    """The server file of hello while it has no certificate."""
    made = gateway.files(fleet.load(hosts), "edge1", plain=["hello"])
    return str(next(file.content for file in made if file.path.endswith("servers/hello.conf")))


def test_without_a_certificate_http_is_as_it_was_and_the_authority_is_answered(
    golden: Callable[[str, str], None],
) -> None:
    """Users who came over HTTP must not be sent to a certificate that nobody trusts, whatever the authority says."""
    text = first(hosts())
    golden("edge1.gateway.server.acme-first.conf", text)
    challenge = [line for line in text.splitlines() if "acme" in line or "The authority asks here" in line]
    assert len(challenge) == 2
    assert [line for line in text.splitlines() if line not in challenge] == server(good(), "hello").splitlines()
    files = [one.path for one in gateway.files(fleet.load(hosts()), "edge1", plain=["hello"])]
    assert files == [one.path for one in gateway.files(fleet.load(hosts()), "edge1")]


def test_who_is_served_without_https_until_there_is_a_certificate() -> None:
    never, later = Demand("there is none yet", must=True, first=True), Demand("it has ended", must=True)
    look = Look(served={"http": ("a.test", False), "files": ("b.test", True), "ended": ("c.test", True)})
    wanted = {"http": never, "files": never, "ended": later, "new": never}
    assert certificates.plain(look, wanted) == ["http", "new"]


def test_the_gateway_gets_plain_files_before_the_authority_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what certbot has already is in place before the real file of another system names it."""
    done: list[Any] = []
    look = Look(now=NOW, served={"shop": ("shop.test", False), "hello": ("hello.test", True)})
    for name in ("tree", "unit_read", "begun", "installed", "obtained"):
        monkeypatch.setattr(operations, name, lambda name="", **_: done.append(name))
    monkeypatch.setattr(operations.apt, "packages", lambda **_: None)
    monkeypatch.setattr(operations.units, "ready", lambda **_: None)
    monkeypatch.setattr(operations, "serve", lambda plan, name, secrets, plain: done.append(plain))
    host = SimpleNamespace(get_fact=lambda *_, **__: look, loop=lambda names: names)
    monkeypatch.setattr(operations, "host", host)
    cast(Any, operations.had)._inner(fleet.load(hosts()), "edge1", None)
    assert done[-5:] == [
        "what certbot has already is in place",
        ["shop"],
        "shop: a certificate for shop.test",
        "hello: a certificate for hello.test",
        "the gateway has loaded its certificates",
    ]


@pytest.mark.parametrize(
    "was, names, secure, says",
    [
        ("", None, False, "HTTP only"),
        ("a.test", None, False, "HTTP only"),
        ("old.test", None, False, "HTTP only; old.test, its name before, is answered no more"),
        ("a.test", ("a.test",), True, "HTTPS with the certificate that was there before"),
        ("a.test", None, True, "HTTPS with the certificate that was there before"),
        (
            "old.test",
            ("old.test",),
            True,
            "HTTPS with the certificate for old.test, which clients refuse under this name; "
            "old.test, its name before, is answered no more",
        ),
    ],
)
def test_what_is_served_without_a_certificate(was: str, names: Any, secure: bool, says: str) -> None:
    found = {"shop": kept(names=names)} if names else {}
    look = Look(now=NOW, certificates=found, served={"shop": ("a.test", secure)})
    assert certificates.serves("shop", "a.test", was, look) == f"the gateway answers for a.test over {says}"


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
    values: dict[str, Any] = {"authority": DIRECTORY, "words": ["certbot"], "directory": "/srv/gateway"}
    return run(operations.obtained, system="shop", domain="a.test", was="", pairs=["shop=a.test"], **values)


def test_a_first_certificate_that_cannot_be_had_ends_the_run(
    run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert obtain(run, monkeypatch, None).failed
    text = "\n".join(next(iter(operations.flow.FAILURES.values())))
    assert text.startswith(f"shop: no certificate for a.test from {DIRECTORY} (there is none yet)\nwhy    requests.")
    assert "nothing was switched; the gateway answers for a.test over HTTP only\n" in text
    assert "\nnext   see that http://a.test/ leads to port 80 of @fake/one" in text and "letsencrypt.log" in text


def test_one_that_is_good_until_later_is_a_note(run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    assert not obtain(run, monkeypatch, kept(9.5)).failed
    (note,) = operations.flow.NOTES
    assert "shop's certificate: the one that is there ends in 9 days, and certbot.timer has not renewed it" in note
    assert "none could be had now (requests.exceptions.ConnectionError" in note and note.endswith("good for 9 days")
    assert not obtain(run, monkeypatch, kept(60)).changed and operations.flow.NOTES == []
