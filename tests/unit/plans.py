"""A good plan in plain dictionaries, as pyinfra would hand it over, for tests to break in one place."""

from __future__ import annotations

import copy
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
Hosts = list[tuple[str, list[str], dict[str, Any]]]

FLEET: dict[str, Any] = {"environment": "staging", "registry": "registry.test:5000", "mirror": "mirror.test:5000"}
SHOP: dict[str, Any] = {
    "initial_release": "1.0.0",
    "domain": "shop.test",
    "services": {
        "db": {
            "kind": "postgres",
            "layer": 1,
            "on": "data",
            "image": "{mirror}/library/postgres:17",
            "major": 17,
            "publish": 5432,
            "database": "shop",
            "owner": "shop",
            "owner_secret": "SHOP_DB_PASSWORD",
        },
        "queue": {"kind": "nats", "layer": 1, "on": "data", "image": "{mirror}/library/nats:2.10"},
        "api": {
            "layer": 2,
            "on": "app",
            "port": 8000,
            "slots": {"blue": 18000, "green": 18001},
            "routes": {"/api": {}},
            "health": {"http": "/api/health"},
            "env": {"QUEUE": "nats://{address.queue}"},
            "secrets": {"DATABASE_URL": "postgresql://{login.db}:{secret.SHOP_DB_PASSWORD}@{address.db}/shop"},
        },
        "clock": {"layer": 2, "on": "app", "singleton": True},
    },
    "migrations": {"engine": "alembic", "service": "api", "database": "db"},
}
HELLO: dict[str, Any] = {
    "initial_release": "1.26",
    "domain": "hello.test",
    "services": {
        "web": {
            "layer": 2,
            "on": "app",
            "image": "{mirror}/library/nginx:{release}",
            "port": 80,
            "publish": 18100,
            "routes": {"/": {}},
        }
    },
}
PLACES = {
    "edge1": ("10.0.0.11", ["edge", "shop", "hello", "staging"]),
    "app1": ("10.0.0.12", ["app", "shop", "hello", "staging"]),
    "app2": ("10.0.0.13", ["app", "shop", "hello", "staging"]),
    "data1": ("10.0.0.14", ["data", "shop", "staging"]),
}


def good() -> Hosts:
    """Four hosts and two systems without a fault; nothing is shared with another call's."""
    systems = {"shop": SHOP, "hello": HELLO}
    return [
        (
            name,
            list(groups),
            copy.deepcopy(
                {"fleet": FLEET, "address": address, **{key: systems[key] for key in systems if key in groups}}
            ),
        )
        for name, (address, groups) in PLACES.items()
    ]


def on_all(path: str, value: Any) -> Callable[[Hosts], None]:
    """A change of one value in every host's data that has the first part of the path; keys are split at dots."""

    def change(hosts: Hosts) -> None:
        first, *rest = path.split(".")
        for _, _, data in hosts:
            if not rest:
                data[first] = copy.deepcopy(value)
            elif first in data:
                target = data[first]
                for part in rest[:-1]:
                    target = target[part]
                target[rest[-1]] = copy.deepcopy(value)

    return change


def without(path: str) -> Callable[[Hosts], None]:
    """A change that takes one key out of every host's data."""

    def change(hosts: Hosts) -> None:
        first, *rest = path.split(".")
        for _, _, data in hosts:
            if not rest:
                data.pop(first, None)
            elif first in data:
                target = data[first]
                for part in rest[:-1]:
                    target = target[part]
                del target[rest[-1]]

    return change


def on_host(host: str, key: str, value: Any) -> Callable[[Hosts], None]:
    """A change of one name in one host's data."""

    def change(hosts: Hosts) -> None:
        next(data for name, _, data in hosts if name == host)[key] = value

    return change


def regroup(host: str, groups: list[str]) -> Callable[[Hosts], None]:
    """A host in other groups; data that it no longer has a group for goes."""

    def change(hosts: Hosts) -> None:
        for number, (name, _, data) in enumerate(hosts):
            if name == host:
                kept = {k: v for k, v in data.items() if k not in ("shop", "hello") or k in groups}
                hosts[number] = (name, groups, kept)

    return change


def shipped(environment: str, hosts: dict[str, list[tuple[str, dict[str, Any]]]]) -> Hosts:
    """Hosts with the group_data of this repository, merged as pyinfra merges it.

    Arguments: the name of the environment's file; {group: [(host, data)]} in the inventory's order.
    """

    def names(group: str) -> dict[str, Any]:
        file = ROOT / "group_data" / f"{group}.py"
        found = runpy.run_path(str(file)) if file.exists() else {}
        return {key: value for key, value in found.items() if not key.startswith("__")}

    places: dict[str, list[str]] = {}
    own: dict[str, dict[str, Any]] = {}
    for group, members in hosts.items():
        for name, data in members:
            places.setdefault(name, []).append(group)
            own[name] = data
    merged: Hosts = []
    for name, groups in places.items():
        data: dict[str, Any] = names("all")
        for group in (*groups, environment):
            data |= names(group)
        merged.append((name, [*groups, environment], {**data, **own[name]}))
    return merged


def inventory_groups(file: str) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """The groups of an inventory file of this repository."""
    return {k: v for k, v in runpy.run_path(str(ROOT / file)).items() if isinstance(v, list) and not k.startswith("_")}


def staging_hosts() -> Hosts:
    """The rehearsal's places with the staging settings of this repository."""
    addresses = {"ops1": 10, "edge1": 11, "app1": 12, "app2": 13, "data1": 14}

    def places(*names: str) -> list[tuple[str, dict[str, Any]]]:
        return [(name, {"address": f"172.30.99.{addresses[name]}", "_sudo": True}) for name in names]

    groups = {
        "edge": places("edge1"),
        "app": places("app1", "app2"),
        "data": places("data1"),
        "ops": places("ops1"),
        "tasktracker": places("edge1", "app1", "app2", "data1"),
        "hello": places("edge1", "app1", "app2"),
    }
    return shipped("staging", groups)


def production_hosts() -> Hosts:
    """The example inventory with the production settings of this repository."""
    return shipped("prod", inventory_groups("inventories/prod.py"))
