"""What a gateway answers, asked on its own host."""

from __future__ import annotations

import json

from pyinfra.api import FactBase, QuoteString, StringCommand

ASK = """
import http.client, json, ssl, sys, urllib.parse
for url in json.loads(sys.argv[1]):
    part = urllib.parse.urlsplit(url)
    try:
        if part.scheme == "https":
            context = ssl._create_unverified_context()  # the way is tested here; the certificate by preflight
            raw = __import__("socket").create_connection(("127.0.0.1", part.port), 5)
            link = http.client.HTTPConnection(part.hostname, part.port, timeout=5)
            link.sock = context.wrap_socket(raw, server_hostname=part.hostname)
        else:
            link = http.client.HTTPConnection("127.0.0.1", part.port, timeout=5)
        link.request("GET", part.path, headers={"Host": part.hostname})
        print(link.getresponse().status, url)
    except Exception as error:
        print(repr(error).replace(" ", "_"), url)
"""


class Answers(FactBase[dict[str, str]]):
    """{url: status, or what went wrong}; each is asked at 127.0.0.1 under its own name."""

    def requires_command(self, urls: list[str]) -> str:
        return "python3"

    def command(self, urls: list[str]) -> StringCommand:
        return StringCommand("python3 -c", QuoteString(ASK), QuoteString(json.dumps(urls)), "|| true")

    @staticmethod
    def default() -> dict[str, str]:
        return {}

    def process(self, output: list[str]) -> dict[str, str]:
        return {url: status for status, _, url in (line.partition(" ") for line in output)}
