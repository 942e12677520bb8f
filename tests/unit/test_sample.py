"""The sample is run as its data say, where a check takes the data's word for it."""

from __future__ import annotations

import re

from plans import ROOT, staging_hosts

from changeover import fleet
from changeover.settings import App
from changeover.words import seconds

SAMPLE = ROOT / "examples" / "tasktracker"
NGINX_OWN = 75.0  # seconds: keepalive_timeout where nothing is said (nginx.org, ngx_http_core_module)


def kept(service: str) -> float:
    found = fleet.load(staging_hosts()).systems["tasktracker"].services[service]
    assert isinstance(found, App)
    return seconds(found.keepalive)


def test_connections_are_kept_as_long_as_the_data_say() -> None:
    (served,) = re.findall(r"timeout_keep_alive=(\d+)", (SAMPLE / "app" / "serve.py").read_text())
    assert float(served) == kept("api")
    said = re.findall(r"keepalive_timeout\s+(\d+)s?;", (SAMPLE / "dashboard" / "nginx.conf").read_text())
    assert {float(value) for value in said} <= {kept("dashboard")} and kept("dashboard") == NGINX_OWN
