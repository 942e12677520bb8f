"""What `docker compose up` would do: compose's own dry run is the only honest oracle (facts: hashes are not)."""

from __future__ import annotations

import json
import re
from contextlib import suppress

from pyinfra.api import FactBase, QuoteString, StringCommand

LINE = re.compile(r"^\s*(?:DRY-RUN MODE -\s+)?(Container|Network|Volume)\s+(\S+)\s+(.+?)\s*$")
HEALTH = re.compile(r"^Health (\S+) (\S+)$")
STEADY = {"Running", "Healthy", "Waiting", "healthy"}


class ComposePlan(FactBase[dict[str, list[str]] | None]):
    """{object: [verbs]} that `up` would print, and each container's health among its verbs.

    None where compose cannot say (no engine yet, no file yet). Of an unhealthy container the dry run says Running.
    """

    def requires_command(self, directory: str, services: list[str]) -> str:
        return "docker"

    def command(self, directory: str, services: list[str]) -> StringCommand:
        """Never fails: an absent file or a stopped engine gives no lines."""
        words = [*map(QuoteString, services), "2>&1"]
        return StringCommand(
            *compose_words(directory, "up", "-d", "--no-deps", "--dry-run"),
            *words,
            ";",
            *compose_words(directory, "ps", "-a", "--format", "'Health {{.Name}} {{.Health}}'"),
            *words,
            "|| true",
        )

    @staticmethod
    def default() -> dict[str, list[str]] | None:
        return None

    def process(self, output: list[str]) -> dict[str, list[str]] | None:
        plan: dict[str, list[str]] = {}
        for line in output:
            if found := LINE.match(line):
                kind, name, verb = found.groups()
                plan.setdefault(f"{kind} {name}", []).append(verb)
            elif found := HEALTH.match(line):
                plan.setdefault(f"Container {found[1]}", []).append(found[2])
        return plan or None


def compose_words(directory: str, *words: str) -> list[str]:
    """The words of a compose command for the project in a folder."""
    return ["docker", "compose", "--project-directory", directory, "-f", f"{directory}/compose.yaml", *words]


def steady(plan: dict[str, list[str]] | None, count: int) -> bool:
    """Whether nothing would be done: `count` containers or more, all of them running and none unhealthy."""
    if plan is None:
        return False
    running = [name for name, verbs in plan.items() if name.startswith("Container ") and "Running" in verbs]
    return len(running) >= count and all(set(verbs) <= STEADY for verbs in plan.values())


class SlotPorts(FactBase[dict[str, dict[str, str]]]):
    """{container of a system's project, by its compose service name: {port inside: host port}}, running or not."""

    def requires_command(self, system: str) -> str:
        return "docker"

    def command(self, system: str) -> str:
        """Never fails; as SlotConfigs."""
        project = f"label=com.docker.compose.project={system}"
        form = '{{index .Config.Labels "com.docker.compose.service"}} {{json .HostConfig.PortBindings}}'
        ids = f"docker ps -aq --filter {project} --filter label=changeover.slot 2>/dev/null"
        return f"{ids} | xargs -r docker container inspect --format '{form}' 2>/dev/null || true"

    @staticmethod
    def default() -> dict[str, dict[str, str]]:
        return {}

    def process(self, output: list[str]) -> dict[str, dict[str, str]]:
        found = {}
        for name, _, text in (line.partition(" ") for line in output):
            with suppress(ValueError, TypeError, KeyError, IndexError):
                bindings = json.loads(text) or {}
                found[name] = {port.partition("/")[0]: to[0]["HostPort"] for port, to in bindings.items() if to}
        return found


class SlotConfigs(FactBase[dict[str, str]]):
    """{container of a system's project, by its compose service name: its label `changeover.config`}."""

    def requires_command(self, system: str) -> str:
        return "docker"

    def command(self, system: str) -> str:
        """Never fails: an engine that does not run has no containers."""
        names = '{{.Label "com.docker.compose.service"}} {{.Label "changeover.config"}}'
        project = f"label=com.docker.compose.project={system}"
        return f"docker ps -a --filter {project} --filter label=changeover.slot --format '{names}' 2>/dev/null || true"

    @staticmethod
    def default() -> dict[str, str]:
        return {}

    def process(self, output: list[str]) -> dict[str, str]:
        return {name: label for name, _, label in (line.partition(" ") for line in output) if name}
