"""HTTPS of the gateway: certificates by files, or of an authority that certbot asks by itself (ACME)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from changeover.settings_common import Strict
from changeover.words import HTTPS, MAIL, Text

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"


class Tls(Strict):
    """Certificate and key by file, on the control machine; the key goes to the gateways with mode 0600."""

    certificate: Text = Field(description="PEM file with the certificate and its chain")
    key: Text = Field(description="PEM file with the key")
    ca: Text | None = Field(None, description="PEM file of a private CA, for the deploy's own prober")


class Acme(Strict):
    """The authority that systems with tls="acme" have their certificates from; certbot on the gateway renews them."""

    email: str = Field(pattern=MAIL, description="whom the authority writes to; given to it with the account")
    directory: str = Field(LETS_ENCRYPT, pattern=HTTPS, description="its address")
    ca: Text | None = Field(
        None,
        description="PEM file, for a private authority: who signed its own HTTPS and its certificates; all of "
        "certbot on the gateway then trusts nobody else",
    )


def _way(value: Any) -> str:
    return "none" if value is None else "acme" if isinstance(value, str) else "files"


Way = Annotated[
    Annotated[Tls, Tag("files")] | Annotated[Literal["acme"], Tag("acme")] | Annotated[None, Tag("none")],
    Discriminator(_way),
]
