"""These tests run on the rehearsal's hosts, which `make test` has brought up and deployed to."""

import ssl

import httpx
import pytest

from tests import support
from tests.rehearsal.one_host import Host


@pytest.fixture(scope="session")
def gateway():
    """(client, base URL) for the first system's gateway, with the rehearsal's CA and no retries."""
    status = support.status()
    base = httpx.URL(status["gateway"]["url"])
    context = ssl.create_default_context(cafile=status["gateway"]["ca"])
    transport = _Resolve(status["gateway"]["address"], context)
    with httpx.Client(base_url=base, transport=transport, timeout=10) as client:
        yield client


class _Resolve(httpx.HTTPTransport):
    """Reaches the gateway at its address under its own name, as --resolve does."""

    def __init__(self, address: str, context: ssl.SSLContext):
        super().__init__(verify=context, http2=False, retries=0)
        self._address = address

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions["sni_hostname"] = request.url.host
        request.url = request.url.copy_with(host=self._address)
        return super().handle_request(request)


@pytest.fixture(scope="session")
def bare(tmp_path_factory):
    """The bare host, new when it is first asked for."""
    return Host(tmp_path_factory.mktemp("bare"))
