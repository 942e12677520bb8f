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


def test_only_the_application_makes_a_query_slow() -> None:
    """A dump runs for minutes, under its own name, and judges no release."""
    (gate,) = [one for one in fleet.load(staging_hosts()).systems["tasktracker"].gates if "slowest" in one.name]
    (prefix,) = re.findall(r"application_name like '(.*)%'", gate.source.sql or "")
    (named,) = re.findall(r'"application_name": f"(.*?)\{', (SAMPLE / "app" / "db.py").read_text())
    assert named == prefix


def test_connections_are_kept_as_long_as_the_data_say() -> None:
    (served,) = re.findall(r"timeout_keep_alive=(\d+)", (SAMPLE / "app" / "serve.py").read_text())
    assert float(served) == kept("api")
    said = re.findall(r"keepalive_timeout\s+(\d+)s?;", (SAMPLE / "dashboard" / "nginx.conf").read_text())
    assert {float(value) for value in said} <= {kept("dashboard")} and kept("dashboard") == NGINX_OWN
