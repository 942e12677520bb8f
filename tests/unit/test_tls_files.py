"""A certificate that no client would take is said before anything is touched."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from plans import good, on_all

from changeover import fleet
from changeover.tls_files import faults, soon
from operations import tls_files

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
PEM = serialization.Encoding.PEM
KEY = ec.generate_private_key(ec.SECP256R1())
DAY = timedelta(days=1)


def made(*names: str, begins: datetime = NOW - DAY, ends: datetime = NOW + 90 * DAY) -> bytes:
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop.example.com")])
    builder = x509.CertificateBuilder().subject_name(who).issuer_name(who).public_key(KEY.public_key())
    builder = builder.serial_number(1).not_valid_before(begins).not_valid_after(ends)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(PEM)


def private(
    key: ec.EllipticCurvePrivateKey = KEY, lock: serialization.KeySerializationEncryption | None = None
) -> bytes:
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, lock or serialization.NoEncryption())


OTHER = private(ec.generate_private_key(ec.SECP256R1()))
LOCKED = private(lock=serialization.BestAvailableEncryption(b"x"))
NAME = "shop.example.com"
ENCRYPTED = "is encrypted: nginx could not start with it after a reboot; write it without a passphrase"
BAD = [
    (b"none", private(), {"certificate": "holds no certificate in PEM"}),
    (made(NAME, ends=NOW - timedelta(hours=1)), private(),
     {"certificate": "ended on 2026-11-22 08:00 UTC; every client would refuse it: renew it"}),
    (made(NAME, begins=NOW + DAY), private(),
     {"certificate": "begins on 2026-11-23 09:00 UTC, clients refuse it until then; is this machine's clock right?"}),
    (made("www.example.com", "*.shop.example.com"), private(),
     {"certificate": "is for www.example.com, *.shop.example.com, and not for shop.example.com"}),
    (made(), private(), {"certificate": "is for no name, and not for shop.example.com"}),
    (made(NAME), b"none", {"key": "holds no private key in PEM"}),
    (made(NAME), LOCKED, {"key": ENCRYPTED}),
    (made(NAME), OTHER, {"key": "is not the certificate's: they do not belong together"}),
    (made("x.test"), OTHER, {"certificate": "is for x.test, and not for shop.example.com",
                             "key": "is not the certificate's: they do not belong together"}),
]  # fmt: skip


@pytest.mark.parametrize("certificate, key, wanted", BAD)
def test_what_no_client_would_take(certificate: bytes, key: bytes, wanted: dict[str, str]) -> None:
    assert faults(certificate, key, NAME, NOW) == wanted


@pytest.mark.parametrize("names", [(NAME,), ("*.example.com",), ("a.test", "SHOP.example.com")])
def test_what_clients_take(names: tuple[str, ...]) -> None:
    assert faults(made(*names), private(), NAME, NOW) == {}


def test_a_chain_begins_with_the_servers_own() -> None:
    assert faults(made(NAME) + made("ca.test", ends=NOW - DAY), private(), NAME, NOW) == {}


def test_one_that_ends_soon_is_a_note() -> None:
    assert soon(made(NAME, ends=NOW + 3 * DAY), NOW) == "ends on 2026-11-25 09:00 UTC, in 3 days"
    assert [soon(made(NAME, ends=end), NOW) for end in (NOW + 15 * DAY, NOW - DAY)] == [None, None]
    assert soon(b"none", NOW) is None


def test_the_line_names_key_file_and_reason(tmp_path: Path) -> None:
    certificate, key = tmp_path / "shop.crt", tmp_path / "shop.key"
    certificate.write_bytes(made(NAME, ends=NOW + 100 * 365 * DAY))
    key.write_bytes(OTHER)
    hosts = good()
    on_all("shop.tls", {"certificate": str(certificate), "key": str(key)})(hosts)
    on_all("shop.domain", NAME)(hosts)
    plan = fleet.load(hosts)
    assert tls_files.missing(plan) == []
    line = f"shop.tls.key: {key} is not the certificate's: they do not belong together"
    assert tls_files.unfit(plan, "shop") == [line]
    assert tls_files.unfit(plan, "hello") == []
