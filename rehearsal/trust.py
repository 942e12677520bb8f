"""Keys, certificates and secrets of one rehearsal: made once, kept in .rehearsal, readable by their owner only."""

import datetime as dt
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SECRETS = ("POSTGRES_PASSWORD", "TASKTRACKER_DB_PASSWORD", "ADMIN_TOKEN")
DAYS = 365
PEM = serialization.Encoding.PEM
CertificateKey = ec.EllipticCurvePrivateKey


def write_private(file: Path, content: bytes) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(file.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(content)
    part.rename(file)


def ssh_key(file: Path) -> str:
    """The rehearsal's SSH key (made if missing); returns the public half as in authorized_keys."""
    if not file.exists():
        key = ed25519.Ed25519PrivateKey.generate()
        write_private(file, key.private_bytes(PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()))
    loaded = serialization.load_ssh_private_key(file.read_bytes(), None)
    public = loaded.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    text = public.decode() + " changeover-rehearsal\n"
    file.with_suffix(".pub").write_text(text)
    return text


def secret_values(file: Path, names: Sequence[str] = SECRETS) -> None:
    """Write NAME=value lines (hex, 192 bits) for names that `file` lacks; what it has stays."""
    text = file.read_text() if file.exists() else ""
    known = {line.partition("=")[0] for line in text.splitlines()}
    missing = [f"{name}={secrets.token_hex(24)}\n" for name in names if name not in known]
    if missing:
        write_private(file, (text + "".join(missing)).encode())


def certificates(folder: Path, ca_file: Path, names: Sequence[str]) -> None:
    """Make a private CA (`ca_file`, key beside the server's) and a server certificate for `names` in `folder`.

    What is there, valid for another week and for the same names, stays.
    """
    server = folder / "server.crt"
    if ca_file.exists() and (folder / "server.key").exists() and server.exists() and _good(server, names):
        return
    ca_key, ca = _authority()
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    certificate = (
        _builder(names[0], ca.subject, key)
        .add_extension(alternatives, critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(issuer, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    write_private(folder / "ca.key", _pem(ca_key))
    write_private(folder / "server.key", _pem(key))
    write_private(server, certificate.public_bytes(PEM) + ca.public_bytes(PEM))
    ca_file.write_bytes(ca.public_bytes(PEM))


def _authority() -> tuple[CertificateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = "Changeover rehearsal CA " + secrets.token_hex(4)
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _builder(name, _name(name), key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def _builder(subject: str, issuer: x509.Name, key: CertificateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=DAYS))
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(key: CertificateKey) -> bytes:
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _good(file: Path, names: Sequence[str]) -> bool:
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    covered = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    week = dt.datetime.now(dt.UTC) + dt.timedelta(days=7)
    return certificate.not_valid_after_utc > week and covered.get_values_for_type(x509.DNSName) == list(names)
