"""From all hosts' merged data to one checked picture: which systems, which hosts, what runs where.

Pure: takes plain dictionaries (pyinfra's merged host data), gives frozen models or a SettingsError with every finding.
"""

from __future__ import annotations

import copy
import ipaddress
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from changeover.checks import checks
from changeover.checks import host_ports as host_ports
from changeover.checks_data import lost_files
from changeover.plan import Host as Host
from changeover.plan import Plan as Plan
from changeover.problems import Problem, SettingsError, from_validation, nearest, shown
from changeover.settings import Fleet, Run, System

Hosts = Sequence[tuple[str, Sequence[str], Mapping[str, Any]]]
Model = TypeVar("Model", bound=BaseModel)

OWN_KEYS = {"address", "fleet", "overrides", *Run.model_fields}
# Data keys that belong to pyinfra, not to us; a test compares them with the pyinfra that is installed.
SSH_KEYS = {
    f"ssh_{key}"
    for key in (
        "hostname port user password key key_password allow_agent look_for_keys forward_agent config_file "
        "known_hosts_file strict_host_key_checking paramiko_connect_kwargs connect_retries "
        "connect_retry_min_delay connect_retry_max_delay file_transfer_protocol"
    ).split()
}
ARGUMENTS = {
    f"_{key}"
    for key in (
        "sudo sudo_user use_sudo_login sudo_password preserve_sudo_env su_user use_su_login preserve_su_env su_shell "
        "su_password doas doas_user dzdo dzdo_user shell_executable chdir env success_exit_codes timeout get_pty stdin "
        "retries retry_delay retry_until temp_dir ignore_errors continue_on_error if parallel run_once serial"
    ).split()
}
OTHER_CONNECTORS = re.compile(r"^(docker|fake)_[a-z_]+$")


@dataclass
class _Found:
    """What has been read so far: raw settings by name, the file each came from, and every finding."""

    directory: str
    environment: str
    raw: dict[str, Any] = field(default_factory=dict)
    file_of: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def inventory(self) -> str:
        return f"inventories/{self.environment}.py"

    @property
    def override_file(self) -> str:
        return f"{self.directory}/{self.environment}.py"

    def add(self, file: str, path: str, message: str) -> None:
        self.problems.append(Problem(file, path, message))


def load(hosts: Hosts, directory: str = "group_data", files: Collection[str] = ()) -> Plan:
    """Checks the merged data of all hosts and gives the plan.

    Arguments: (name, groups, data) for each host in inventory order; the folder that messages name; names of its files.
    Raises SettingsError with every finding.
    """
    found = _Found(directory, next((names[-1] for _, names, _ in hosts if names), "all"))
    _read(found, hosts)
    overrides = _overrides(found, hosts)
    merged = _override(found, overrides)
    run = _run(found, hosts)
    members = _members(found, hosts)
    models, problems = _models(merged, found.file_of)
    if problems:
        before = _models(found.raw, found.file_of)[1] if overrides else problems
        found.problems += [_blamed(p, overrides, found.override_file, p not in before) for p in problems]
    if found.problems or run is None:
        raise SettingsError(found.problems)

    systems = {name: model for name, model in models.items() if isinstance(model, System)}
    plan = Plan(models["fleet"], systems, members, run)  # type: ignore[arg-type]
    lost = lost_files(plan, files, directory, found.inventory)
    if problems := [*checks(plan, found.file_of, found.inventory), *lost]:
        raise SettingsError([_blamed(p, overrides, found.override_file, False) for p in problems])
    return plan


def _read(found: _Found, hosts: Hosts) -> None:
    """Sorts every name of every host's data into settings, pyinfra's own, and unknown."""
    known_groups = {group for _, groups, _ in hosts for group in groups}
    found.file_of["fleet"] = f"{found.directory}/all.py"
    for host, _, values in hosts:
        for key, value in values.items():
            if key == "fleet" or key in known_groups:
                found.file_of.setdefault(key, f"{found.directory}/{key}.py")
                if key not in found.raw:
                    found.raw[key] = copy.deepcopy(value)
                elif found.raw[key] != value:
                    found.add(found.inventory, f"{host}.{key}", "differs from another host's; one system, one file")
            elif key not in OWN_KEYS and (hint := _unknown(key, known_groups)) is not None:
                found.add(f"{found.directory}, {found.inventory} or --data", key, f"unknown name{hint}")
    if "fleet" not in found.raw:
        found.add(found.file_of["fleet"], "fleet", "is missing")
    if not found.raw.keys() - {"fleet"}:
        groups = ", ".join(sorted(known_groups)) or "none"
        found.add(found.inventory, "", f"no system: no group ({groups}) has a file of its name in {found.directory}")


def _unknown(key: str, known_groups: Iterable[str]) -> str | None:
    """A hint for a name that means nothing to anybody; None for pyinfra's names and a file's own _helpers."""
    if key in SSH_KEYS or key in ARGUMENTS or OTHER_CONNECTORS.match(key):
        return None
    if key.startswith("_"):
        return nearest(key, ARGUMENTS, cutoff=0.8) or None
    return nearest(key, OWN_KEYS | SSH_KEYS | set(known_groups))


def _overrides(found: _Found, hosts: Hosts) -> dict[str, Any]:
    """The environment's overrides, which all hosts must have alike."""
    overrides = hosts[0][2].get("overrides", {}) if hosts else {}
    for _, _, values in hosts:
        mine = values.get("overrides", {})
        if not isinstance(mine, dict) or not all(isinstance(path, str) for path in mine):
            found.add(
                found.override_file, "overrides", f'must be a dict of "system.key.key": value (it is {shown(mine)})'
            )
            return {}
        if mine != overrides:
            found.add(found.override_file, "overrides", "are not the same on all hosts; one environment, one file")
            return {}
    return overrides


def _override(found: _Found, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The raw settings with {"system.dotted.path": value} put in."""
    merged = copy.deepcopy(found.raw)
    for path, value in overrides.items():
        if problem := _put(merged, path.split("."), copy.deepcopy(value)):
            found.add(found.override_file, f'overrides["{path}"]', problem)
    return merged


def _put(merged: dict[str, Any], parts: list[str], value: Any) -> str | None:
    """Sets one value; what is wrong with the path, if anything."""
    if parts[0] not in merged:
        return f"no system or fleet named {parts[0]}{nearest(parts[0], merged)}"
    if len(parts) == 1:
        return f"names no key of {parts[0]}"
    target, above = merged[parts[0]], parts[0]
    for number, part in enumerate(parts[1:], 2):
        if not isinstance(target, dict):
            return f"{above} is a value, nothing lies below it"
        if above in ("services", "routes") and part not in target:
            return f"no {part} in {above}{nearest(part, target)}"
        if number == len(parts):
            target[part] = value
        target, above = target.setdefault(part, {}), part
    return None


def _models(raw: Mapping[str, Any], file_of: Mapping[str, str]) -> tuple[dict[str, BaseModel], list[Problem]]:
    """The models of all that validates, and what is wrong with the rest."""
    models: dict[str, BaseModel] = {}
    problems: list[Problem] = []
    for name, value in raw.items():
        made = _model(Fleet if name == "fleet" else System, value, name, file_of[name], problems)
        if made:
            models[name] = made
    return models, problems


def _model(model: type[Model], value: Any, name: str, file: str, problems: list[Problem]) -> Model | None:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems += from_validation(error, model, file, name)
        return None


def _blamed(problem: Problem, overrides: Mapping[str, Any], file: str, new: bool) -> Problem:
    """The problem, in the environment's file where that is what set the value.

    `new`: it was not there without the overrides, so one of them is to blame, if only from below or beside.
    """
    parts = problem.path.split(".")

    def common(path: str) -> int:
        same = [a == b for a, b in zip(parts, path.split("."), strict=False)]
        return same.index(False) if False in same else len(same)

    for path in overrides:
        if problem.path == path or problem.path.startswith(f"{path}."):
            return Problem(file, f'overrides["{path}"]{problem.path.removeprefix(path)}', problem.message)
    if new and (path := max(overrides, key=common, default="")):
        inner = "" if common(path) == len(parts) else f"{problem.path}: "
        return Problem(file, f'overrides["{path}"]', f"{inner}{problem.message}")
    return problem


def _run(found: _Found, hosts: Hosts) -> Run | None:
    """What --data asks of this run."""
    given = {key: values[key] for _, _, values in hosts for key in Run.model_fields if key in values}
    for key, value in given.items():
        if any(key not in values or values[key] != value for _, _, values in hosts):
            where = f"{found.directory} or {found.inventory}"
            found.add(where, key, f"is not the same on all hosts; it belongs on the command line: --data {key}=")
    problems: list[Problem] = []
    for key, value in given.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            message = (
                f"is read as the number {value} (so 1.10 becomes 1.1); write it in both kinds of quotes: "
                f"--data '{key}=\"...\"'"
            )
            problems.append(Problem("the command line", f"--data {key}", message))
        elif value is None:
            problems.append(Problem("the command line", f"--data {key}", "is empty; give a value or leave it out"))
    run = None if problems else _model(Run, given, "--data", "the command line", problems)
    found.problems += [Problem(p.file, p.path.replace("--data.", "--data "), p.message) for p in problems]
    return run


def _members(found: _Found, hosts: Hosts) -> dict[str, Host]:
    """The hosts with their private addresses, each of which must be one of its own."""
    members: dict[str, Host] = {}
    owner: dict[str, str] = {}
    for name, groups, values in hosts:
        address, path = values.get("address"), f"{name}.address"
        try:
            ipaddress.IPv4Address(address if isinstance(address, str) else "")
        except ValueError:
            is_missing = (
                "is missing: " if address is None else f"{shown(address)} is no IPv4 address such as 10.0.0.11; "
            )
            found.add(found.inventory, path, f"{is_missing}the private address other hosts reach it at")
        else:
            if owner.setdefault(str(address), name) != name:
                found.add(found.inventory, path, f"{address} is {owner[str(address)]}'s already")
        members[name] = Host(name, tuple(groups), str(address))
    return members
