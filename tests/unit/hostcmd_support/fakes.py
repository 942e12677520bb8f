"""docker, ssh, systemd-run and systemctl for hosts that are folders. Standard library only.

Used in the tests' own process (`answer`), and as programs on PATH (`python fakes.py docker ps ...`): then
CHANGEOVER_ROOT says which host is meant. A host's engine is <root>/docker.json:
{"containers": {name: {state, health, release}}, "compose": {service: release}, "sick": [names], "down": false,
"images": {repo@digest: {"id", "tags"}}}; a container's image is the one with the tag of its release.
"""

import json
import os
import sys
from fnmatch import fnmatch
from pathlib import Path

EMPTY = {"containers": {}, "compose": {}, "sick": [], "down": False, "images": {}}


def engine(root: Path) -> dict:
    """A host's containers."""
    path = root / "docker.json"
    return json.loads(path.read_text()) if path.exists() else json.loads(json.dumps(EMPTY))


def save(root: Path, found: dict) -> None:
    """Writes them down."""
    path = root / "docker.json"
    new = path.with_suffix(".new")
    new.write_text(json.dumps(found))
    os.rename(new, path)  # not os.replace: that one is counted by the crash tests


def _start(found: dict, name: str, release: str | None) -> None:
    old = found["containers"].get(name, {})
    health = "unhealthy" if name in found["sick"] else "healthy"
    found["containers"][name] = {
        "state": "running",
        "health": health,
        "release": release or old.get("release"),
    }


def docker(root: Path, words: list[str]) -> tuple[int, str, str]:
    """`docker WORDS`: exit code, output, errors."""
    found = engine(root)
    if found["down"]:
        return 1, "", "Cannot connect to the Docker daemon"
    if words[0] == "image":
        return images(root, found, words)
    if words[:2] == ["ps", "-aq"]:
        return 0, "".join(f"{name}\n" for name in found["containers"]), ""
    if words[:2] == ["ps", "-q"]:
        up = [n for n, one in found["containers"].items() if one["state"] == "running"]
        return 0, "".join(f"{n}\n" for n in up if f"name=^{n}$" == words[-1]), ""
    if words[:2] == ["container", "inspect"]:
        return 0, "".join(f"{image}\n" for image in used(found)), ""
    if words[0] == "ps":
        lines = []
        for name, one in found["containers"].items():
            status = (
                f"Up 5 seconds ({one['health']})" if one["state"] == "running" else "Exited (0) 5 seconds ago"
            )
            lines.append(f"{name}\t{one['state']}\t{status}\t{one['release']}")
        return 0, "".join(f"{line}\n" for line in lines), ""
    if words[0] in ("start", "stop"):
        name = words[-1]
        if name not in found["containers"]:
            return 1, "", f"No such container: {name}"
        if words[0] == "start":
            _start(found, name, None)
        else:
            found["containers"][name].update(state="exited", health="none")
    elif words[0] == "compose":
        service = words[-1]
        if service not in found["compose"]:
            return 1, "", f"no such service: {service}"
        _start(found, f"tasktracker-{service}-1", found["compose"][service])
    elif words[0] == "logs":
        return 0, f"a line of {words[-1]}\n", ""
    else:
        return 125, "", f"unknown: {words}"
    save(root, found)
    return 0, "", ""


def used(found: dict) -> set[str]:
    """Ids of the images that containers were made from."""
    releases = {one["release"] for one in found["containers"].values()}
    return {
        image["id"] for image in found["images"].values() if any(tag[-5:] in releases for tag in image["tags"])
    }


def images(root: Path, found: dict, words: list[str]) -> tuple[int, str, str]:
    """`docker image inspect` and `docker image rm`: without force, what is used or not there is refused."""
    if words[1] == "inspect":
        there = [(name, found["images"][name]) for name in words[4:] if name in found["images"]]
        lines = [f"{one['id']}\t{json.dumps(one['tags'])}\t{json.dumps([name])}\n" for name, one in there]
        return int(len(there) < len(words) - 4), "".join(lines), ""
    for word in words[2:]:
        for name, one in list(found["images"].items()):
            if word in (name, *one["tags"]) and one["id"] not in used(found):
                found["images"].pop(name)
    save(root, found)
    return 0, "", ""


def timer(root: Path, program: str, words: list[str]) -> tuple[int, str, str]:
    """systemd-run and systemctl: alarms are lines of <root>/timers; stopping removes them."""
    path = root / "timers"
    if (root / "no-systemd").exists():
        return 1, "", "Failed to connect to bus"
    lines = path.read_text().splitlines() if path.exists() else []
    names = {next(w for w in line.split() if w.startswith("--unit="))[7:] + ".timer": line for line in lines}
    if program == "systemd-run":
        lines.append(" ".join(words))
    elif words[0] == "list-units":
        return 0, "".join(f"{name} loaded active waiting\n" for name in names if fnmatch(name, words[-1])), ""
    else:
        lines = [line for name, line in names.items() if name not in words]
    path.write_text("".join(f"{line}\n" for line in lines))
    return 0, "", ""


def host_at(root: Path, address: str) -> Path | None:
    """The folder of the host with this address; None while it cannot be reached."""
    target = root.parent / address.rpartition("@")[2]
    return None if (target / "away").exists() or not target.exists() else target


def main() -> int:
    """As a program on PATH."""
    root, program, words = Path(os.environ["CHANGEOVER_ROOT"]), sys.argv[1], sys.argv[2:]
    if program == "ssh":
        target = host_at(root, words[-2])
        if not target:
            print(f"ssh: connect to host {words[-2]}: No route to host", file=sys.stderr)
            return 255
        os.environ["CHANGEOVER_ROOT"] = str(target)
        os.execv(sys.executable, [sys.executable, "-I", os.environ["CHANGEOVER_UNDER_TEST"], words[-1]])
    code, out, err = docker(root, words) if program == "docker" else timer(root, program, words)
    sys.stdout.write(out)
    sys.stderr.write(err)
    return code


if __name__ == "__main__":
    sys.exit(main())
