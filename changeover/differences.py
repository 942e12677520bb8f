"""Which settings of a system's containers, and of the host command, are others than before. Pure; no secret's value.

Before is what lies on the hosts when a run begins: compose.yaml, and what the host command reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from changeover.record_changes import Setting
from changeover.stack import CONFIG, ContainerSpec

Flat = dict[str, str]
HOSTS = dict[str, Flat]
# Of a slot or a release, and no setting: another of each is wanted, and the report says it elsewhere.
LEFT_OUT = ("labels", "ports", "env_file")
SLOT = "DEPLOYMENT_SLOT"
SECRETS = "values of its secrets"
LIKE_A_SECRET = re.compile(r"pass(word|wd)?|secret|token|credential|api_?key|private|dsn", re.IGNORECASE)
LOGIN = re.compile(r"(?<=://)[^/@\s]+@")
COMMAND = "the host command"


def flat(values: Any, path: str = "") -> Flat:
    """{dotted path: text} of a tree; a list is one value."""
    if isinstance(values, Mapping):
        return {
            key: text
            for name, one in values.items()
            for key, text in flat(one, f"{path}.{name}" if path else name).items()
        }
    return {path: values if isinstance(values, str) else json.dumps(values, sort_keys=True)}


def settings_of(body: Mapping[str, Any]) -> Flat:
    """The settings of a container, as compose has them, without what belongs to its slot or its release."""
    labels = body.get("labels") or {}
    kept = {key: value for key, value in body.items() if value and key not in LEFT_OUT}
    if "changeover.release" in labels:
        kept.pop("image", None)
    kept["environment"] = {key: value for key, value in (body.get("environment") or {}).items() if key != SLOT}
    names = sorted(one["target"] for one in kept.pop("secrets", []))
    return flat(kept) | ({"secret files": ", ".join(names)} if names else {})


def before(text: str, slots: Mapping[str, str]) -> tuple[HOSTS, dict[str, str]]:
    """{service: settings} that a compose.yaml gives to what is live, and {container: digest of its settings}.

    Arguments: its text, empty where there is none; {service: live slot}. Raises ValueError for what is no such file.
    """
    found: HOSTS = {}
    digests: dict[str, str] = {}
    try:
        for name, body in ((yaml.safe_load(text.replace("$$", "$")) or {}).get("services") or {}).items():
            labels = body.get("labels") or {}
            service, slot = labels.get("changeover.service", name), labels.get("changeover.slot")
            if not slot or slots.get(service) == slot:
                found[service] = settings_of(body) | digest_of_secrets(labels)
                digests |= {name: labels[CONFIG]} if CONFIG in labels else {}
    except (yaml.YAMLError, AttributeError, TypeError, KeyError) as error:
        raise ValueError(f"compose.yaml cannot be read: {error}") from None
    return found, digests


def after(specs: Sequence[ContainerSpec]) -> HOSTS:
    """{service: settings} of what is live when a run has ended well: the candidate's, where there is one."""
    ranked = sorted((spec for spec in specs if spec.role != "previous"), key=lambda spec: spec.role == "candidate")
    return {spec.service: settings_of(spec.body) | digest_of_secrets(spec.body["labels"]) for spec in ranked}


def digest_of_secrets(labels: Mapping[str, str]) -> Flat:
    """What tells that a secret has a new value, and nothing about the value."""
    return {SECRETS: labels["changeover.secrets"]} if "changeover.secrets" in labels else {}


def differences(old: Mapping[str, HOSTS], new: Mapping[str, HOSTS]) -> list[Setting]:
    """The settings that differ, hosts with the same change put together. Arguments: host -> service -> settings.

    A host that had nothing of the system before is new, and not a change of settings.
    """
    alike: dict[tuple[str, str, str, str], list[str]] = {}
    homes: dict[str, list[str]] = {}
    for host, services in new.items():
        for service in {**old.get(host, {}), **services} if old.get(host) else ():
            homes.setdefault(service, []).append(host)
            was, now = old[host].get(service), services.get(service)
            for key, left, right in _changed(was, now):
                alike.setdefault((service, key, left, right), []).append(host)
    return [
        Setting(where=service if hosts == homes[service] else f"{service} on {', '.join(hosts)}", **_values(*rest))
        for (service, *rest), hosts in sorted(alike.items())
    ]


def _changed(was: Flat | None, now: Flat | None) -> list[tuple[str, str, str]]:
    if was is None or now is None:
        return [("the service", "here" if was is not None else "", "here" if now is not None else "")]
    return [(key, was.get(key, ""), now.get(key, "")) for key in {**was, **now} if was.get(key) != now.get(key)]


def _values(key: str, left: str, right: str) -> dict[str, str]:
    """What is shown of a change. A digest of secrets would say something to whoever tries values on it."""
    if LIKE_A_SECRET.search(key):  # SECRETS too
        return {"key": key, "before": left and "(not shown)", "after": right and "(another value, not shown)"}
    return {"key": key, "before": LOGIN.sub("...@", left), "after": LOGIN.sub("...@", right)}


def command(old: str, new: str) -> list[Setting]:
    """The same for what the host command reads: times, hosts, strategy. Arguments: the files' texts."""
    if not old:
        return []
    try:
        was, now = flat(json.loads(old)), flat(json.loads(new))
    except ValueError:
        return []
    return [Setting(where=COMMAND, **_values(key, left, right)) for key, left, right in sorted(_changed(was, now))]


def drifted(digests: Mapping[str, str], running: Mapping[str, str]) -> list[str]:
    """Live containers that run with other settings than compose.yaml has: an earlier run did not end well."""
    return [name for name, digest in digests.items() if running.get(name, digest) != digest]
