"""The gateway, asked on its own address: TLS, HTTP/2, every route, sockets, cached assets, and who is turned away."""

import base64
import hashlib
import re
import ssl
from datetime import UTC, datetime
from urllib.parse import urljoin

import pytest
from cryptography import x509

from changeover.files import digest_of

from .places import Place, route_of
from .under_test import ROOT, check

NGINX_PAGE = "<center>nginx</center>"  # nginx's own error page: the app was not asked
STRANGER = "no-such-system.invalid"
KEY = base64.b64encode(b"changeover tests").decode()
ACCEPT = base64.b64encode(hashlib.sha1(f"{KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()).decode()
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": KEY}


def question(fleet, place: Place, path: str, **more) -> dict:
    """A GET to the gateway for a system, over TLS where the system has it."""
    system, settings = fleet.plan.systems.get(place.system), fleet.plan.fleet.gateway
    tls = more.pop("tls", bool(system and system.tls))
    return {
        "id": "it",
        "kind": "http",
        "address": fleet.plan.hosts[place.machine].address,
        "port": settings.https_port if tls else settings.http_port,
        "host": system.domain if system else STRANGER,
        "path": path,
        "tls": tls,
    } | more


def ask(fleet, place: Place, path: str, **more) -> dict:
    """The answer; none at all fails the test."""
    answer = fleet.ask(place.machine, [question(fleet, place, path, **more)])["it"]
    check([f"{place}: GET {path}: {answer['error']}"] if "error" in answer else [])
    return answer


def test_nginx_health_answers(fleet, edge):
    answer = ask(fleet, edge, "/nginx-health", tls=False)
    assert (answer["status"], answer["body"]) == (200, "ok\n"), f"{edge}: {answer['status']}"


def test_nginx_has_loaded_what_lies_there(fleet, edge):
    """The mark that a deploy leaves after a reload is the digest of the data's files."""
    mark = f"{fleet.plan.fleet.gateway.run_dir}/loaded"
    found = fleet.look(edge.machine, "files").get(mark, {}).get("target")
    wanted = digest_of([e for e in fleet.desired(edge.machine) if e.path in gateway_files(fleet, edge)])
    assert found == wanted, f"{edge}: {mark} is {found}, the data's files are {wanted}"


def gateway_files(fleet, edge) -> set[str]:
    base = f"{fleet.plan.fleet.gateway.run_dir}/conf/"
    return {e.path for e in fleet.desired(edge.machine) if e.path.startswith(base) and hasattr(e, "content")}


def test_an_unknown_name_is_turned_away(fleet, edge):
    """404 over HTTP; over TLS no handshake, so that no certificate tells which systems there are."""
    questions = [question(fleet, edge, "/", id=way, tls=way == "https") for way in ("http", "https")]
    answers = fleet.ask(edge.machine, questions)
    problems = []
    if (status := answers["http"].get("status")) != 404:
        problems.append(f"HTTP gives {status or answers['http']['error']}, not 404")
    if "unrecognized" not in answers["https"].get("error", "").lower():
        problems.append(f"TLS shakes hands ({answers['https'].get('status') or answers['https']['error']})")
    check([f"{edge}: {STRANGER}: {problem}" for problem in problems])


def test_http_is_sent_to_https(fleet, tls_site):
    """308 keeps a POST a POST."""
    answer = ask(fleet, tls_site, "/some/path?and=query", tls=False)
    port = fleet.plan.fleet.gateway.https_port
    host = fleet.plan.systems[tls_site.system].domain + (f":{port}" if port != 443 else "")
    found = (answer["status"], answer["headers"].get("location"))
    assert found == (308, f"https://{host}/some/path?and=query"), f"{tls_site}: {found}"


def test_http_2_is_negotiated(fleet, tls_site):
    answer = ask(fleet, tls_site, "/", alpn=["h2", "http/1.1"])
    assert answer["alpn"] == "h2", f"{tls_site}: ALPN gave {answer['alpn']}"


def served(fleet, site) -> bytes:
    """The certificate that a gateway serves for a system."""
    return bytes.fromhex(ask(fleet, site, "/nginx-health", tls=True)["der"])


def test_certificate_is_good(fleet, tls_site):
    """The one served has not run out, and is for the system's name."""
    domain = fleet.plan.systems[tls_site.system].domain
    found = x509.load_der_x509_certificate(served(fleet, tls_site))
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    names = names.get_values_for_type(x509.DNSName)
    wildcard = "*." + domain.partition(".")[2]
    problems = []
    if found.not_valid_after_utc <= datetime.now(UTC):
        problems.append(f"the certificate ran out on {found.not_valid_after_utc}")
    if domain not in names and wildcard not in names:
        problems.append(f"the certificate is for {' '.join(names)}, not {domain}")
    if found.issuer == found.subject and fleet.plan.systems[tls_site.system].tls == "acme":
        problems.append("the certificate is the gateway's own, of no authority")
    check([f"{tls_site}: {problem}" for problem in problems])


def test_certificate_is_the_given_file(fleet, given_site):
    file = fleet.plan.systems[given_site.system].tls.certificate
    text = (ROOT / file).read_text()
    first = re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.DOTALL)
    if served(fleet, given_site) != ssl.PEM_cert_to_DER_cert(first.group()):
        check([f"{given_site}: another certificate than {file} is served"])


def test_route_answers(fleet, route):
    """200 from the service behind it, asked at its health path where that lies below the route."""
    service, settings = route_of(fleet.plan, route)
    prefix = route.part.rstrip("/")
    if settings.websocket:
        check_socket(fleet, route)
        return
    health = service.health.http if service.health and service.health.http else ""
    path = health if health.startswith(f"{prefix}/") and not settings.strip else f"{prefix}/"
    answer = ask(fleet, route, path)
    assert answer["status"] == 200, f"{route}: GET {path} is {answer['status']}"


def check_socket(fleet, route):
    """101 with the right key. An app may refuse, but must have seen the upgrade: a plain GET gets another answer."""
    upgrade = question(fleet, route, route.part, id="upgrade", headers=UPGRADE)
    answers = fleet.ask(route.machine, [upgrade, question(fleet, route, route.part, id="plain")])
    check([f"{route}: {key}: {answer['error']}" for key, answer in answers.items() if "error" in answer])
    answer, plain = answers["upgrade"], answers["plain"]
    if answer["status"] == 101:
        assert answer["headers"].get("sec-websocket-accept") == ACCEPT, f"{route}: a 101 that is not for our key"
        return
    refused = 400 <= answer["status"] < 500 and NGINX_PAGE not in answer["body"]
    seen = (answer["status"], answer["digest"]) != (plain["status"], plain["digest"]) or answer["status"] in (401, 403)
    assert refused and seen, f"{route}: an upgrade gets {answer['status']}, a plain GET {plain['status']}"
    fleet.notes.append(f"{route}: the service refuses a WebSocket without more ({answer['status']})")


def test_a_longer_path_is_not_the_route(fleet, route):
    """/api must not catch /apix."""
    prefix = route.part.rstrip("/")
    path = f"{prefix}x-is-nobodys"
    others = [place for place in fleet.plan.systems[route.system].services.values() if hasattr(place, "routes")]
    if any(path.startswith(other.rstrip("/")) and other != route.part for app in others for other in app.routes):
        pytest.skip(f"{route}: {path} belongs to another route by the data, so 404 would be wrong")
    if not prefix:
        pytest.skip(f"{route}: takes every path by the data, so there is none that must be 404")
    answer = ask(fleet, route, path)
    assert answer["status"] == 404 and NGINX_PAGE in answer["body"], f"{route}: GET {path} is {answer['status']}"


def test_assets_come_from_the_cache(fleet, asset_route):
    """An asset that the page names, asked twice: the second is a HIT, with the same bytes; the page never is."""
    _, settings = route_of(fleet.plan, asset_route)
    base = f"{asset_route.part.rstrip('/')}/"
    page = ask(fleet, asset_route, base)
    assert page["status"] == 200, f"{asset_route}: GET {base} is {page['status']}"  # an error page names none either
    links = [urljoin(base, link) for link in re.findall(r"""(?:src|href)=["']?([^"'\s>]+)""", page["body"])]
    assets = [link for link in links if link.startswith(base + settings.assets)]
    if not assets:
        pytest.skip(f"{asset_route}: its page names nothing below {base}{settings.assets}")
    first, second = ask(fleet, asset_route, assets[0]), ask(fleet, asset_route, assets[0])
    found = (first["status"], second["status"], second["headers"].get("x-cache-status"))
    assert found == (200, 200, "HIT"), f"{asset_route}: {assets[0]}: {found}"
    assert first["digest"] == second["digest"]
    assert "x-cache-status" not in page["headers"], f"{asset_route}: the page itself is cached"


def test_live_slots_are_those_of_state_json(fleet, site):
    """`live` leads to state.json's generation, which has one mark for each service with traffic: its live slot."""
    live = f"{fleet.plan.fleet.gateway.run_dir}/slots/{site.system}/live"
    state, services = fleet.live(site.system), fleet.plan.systems[site.system].services
    names = [name for name in fleet.plan.switched(site.system) if services[name].slots]
    wanted = sorted(f"{name}.{state.slots[name].live if name in state.slots else 'none'}" for name in names)
    link = fleet.look(site.machine, "files").get(live, {})
    marks = fleet.look(site.machine, "folders").get(live)
    problems = []
    if link.get("target") != str(state.generation):
        problems.append(f"{live} leads to {link.get('target') or 'nothing'}, state.json says {state.generation}")
    if marks != wanted:
        problems.append(f"{live} holds {marks}, state.json says {wanted}")
    check([f"{site}: {problem}" for problem in problems])
