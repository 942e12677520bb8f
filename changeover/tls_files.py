"""Certificates and keys that are given by files: whether clients will take them. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtensionOID

SOON = timedelta(days=14)


def faults(certificate: bytes, key: bytes, domain: str | None, now: datetime) -> dict[str, str]:
    """{"certificate" or "key": why no client would take it}; empty when all is well.

    Arguments: both files in PEM, the server's own certificate first; the name it is for; the time.
    """
    try:
        own = x509.load_pem_x509_certificates(certificate)[0]
    except ValueError:
        return {"certificate": "holds no certificate in PEM"}
    found = {}
    if why := _unfit(own, domain, now):
        found["certificate"] = why
    try:
        public = load_pem_private_key(key, None).public_key()
    except TypeError:
        found["key"] = "is encrypted: nginx could not start with it after a reboot; write it without a passphrase"
    except ValueError:
        found["key"] = "holds no private key in PEM"
    else:
        parts = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if public.public_bytes(*parts) != own.public_key().public_bytes(*parts):
            found["key"] = "is not the certificate's: they do not belong together"
    return found


def soon(certificate: bytes, now: datetime) -> str | None:
    """When a certificate ends, if that is within 14 days; None for one that is good for longer, or ended."""
    try:
        ends = x509.load_pem_x509_certificates(certificate)[0].not_valid_after_utc
    except ValueError:
        return None
    return f"ends on {ends:%Y-%m-%d %H:%M} UTC, in {(ends - now).days} days" if now < ends < now + SOON else None


def _unfit(own: x509.Certificate, domain: str | None, now: datetime) -> str | None:
    begins, ends = own.not_valid_before_utc, own.not_valid_after_utc
    if ends <= now:
        return f"ended on {ends:%Y-%m-%d %H:%M} UTC; every client would refuse it: renew it"
    if begins > now:
        return f"begins on {begins:%Y-%m-%d %H:%M} UTC, clients refuse it until then; is this machine's clock right?"
    names = _names(own)
    if domain and not any(_covers(name, domain) for name in names):
        return f"is for {', '.join(names) or 'no name'}, and not for {domain}"
    return None


def _names(own: x509.Certificate) -> list[str]:
    """The names in subjectAltName: clients read no others (RFC 9525)."""
    try:
        value = own.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    except x509.ExtensionNotFound:
        return []
    assert isinstance(value, x509.SubjectAlternativeName)
    return value.get_values_for_type(x509.DNSName)


def _covers(name: str, domain: str) -> bool:
    """A star stands for one label, the first."""
    if name.startswith("*."):
        return name[2:].lower() == domain.partition(".")[2]
    return name.lower() == domain
