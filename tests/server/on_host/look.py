"""Runs on a host as root: one look at all that the tests ask about, printed as one JSON object. Reads only.

Argument: {"units": [names], "kernel": [settings], "modes": [files], "exposure": [units], "user": name, "peer": the
user that other hosts log in as, "paths": [files and folders], "texts": [files whose text is wanted], "folders":
[folders to list]}. Standard library only. A part that cannot be had is {"error": why}: the others remain.
"""

import glob
import grp
import hashlib
import json
import os
import pwd
import stat
import subprocess
import sys
import tempfile


def words(*command):
    run = subprocess.run(command, capture_output=True, text=True, timeout=30)
    if run.returncode:
        raise OSError(f"{' '.join(command)}: {run.stderr.strip()[-300:]}")
    return run.stdout


def text(path):
    with open(path, errors="replace") as file:
        return file.read()


def system(asked):
    release = dict(line.rstrip("\n").split("=", 1) for line in open("/etc/os-release") if "=" in line)
    lines = words("systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager").splitlines()
    return {
        "os": release["ID"].strip('"'),
        "version": release.get("VERSION_ID", "").strip('"'),
        "units": {unit: unit_state(unit) for unit in asked["units"]},
        "failed": [line.split()[0] for line in lines],
        "ssh_ports": [line.split()[1] for line in words("sshd", "-T").splitlines() if line.startswith("port ")],
    }


def unit_state(unit):
    shown = words("systemctl", "show", unit, "-p", "ActiveState", "-p", "UnitFileState").split()
    return sorted(line.split("=", 1)[1] for line in shown)


def user(asked):
    entry = pwd.getpwnam(asked["user"])
    locked = words("passwd", "-S", entry.pw_name).split()[1]
    keys = os.path.join(entry.pw_dir, ".ssh/authorized_keys")
    return {
        "password": locked,
        "groups": [g.gr_name for g in grp.getgrall() if entry.pw_name in g.gr_mem],
        "keys": text(keys).splitlines() if os.path.exists(keys) else [],
    }


def peer(asked):
    """What the user that other hosts log in as is, and what sudo lets it do, wherever that is written."""
    entry = pwd.getpwnam(asked["peer"])
    return {
        "password": words("passwd", "-S", entry.pw_name).split()[1],
        "groups": [g.gr_name for g in grp.getgrall() if entry.pw_name in g.gr_mem],
        "home": entry.pw_dir,
        "sudo": words("sudo", "-n", "-l", "-U", entry.pw_name).splitlines(),
    }


def timers(asked):
    lines = words("systemctl", "list-units", "--type=timer", "--all", "--plain", "--no-legend").splitlines()
    return [line.split()[0] for line in lines if line.strip()]


def engine(asked):
    return {
        "settings": json.loads(text("/etc/docker/daemon.json")),
        "info": json.loads(words("docker", "info", "--format", "{{json .}}")),
        "compose": words("docker", "compose", "version", "--short").strip(),
    }


def docker(asked):
    images = words("docker", "image", "ls", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}")
    found = containers()
    return {
        "containers": found,
        "kernel": {one["Name"]: rights(one["State"]["Pid"]) for one in found if one["State"]["Running"]},
        "images": dict(line.split() for line in images.splitlines()),
        "volumes": objects("volume"),
        "networks": objects("network"),
    }


def containers(tries=3):
    """All of them; one that ends between the two questions is no reason to see none."""
    names = words("docker", "ps", "-aq", "--no-trunc").split()
    try:
        return json.loads(words("docker", "inspect", "--type", "container", *names)) if names else []
    except OSError:
        if tries > 1:
            return containers(tries - 1)
        raise


def rights(pid):
    """What the kernel says that a process may do; nothing of one that has just ended."""
    try:
        lines = [line.split(":", 1) for line in text(f"/proc/{pid}/status").splitlines()]
    except OSError:
        return {}
    return {key: value.strip() for key, value in lines if key in ("CapBnd", "NoNewPrivs", "Uid")}


def objects(kind):
    names = words("docker", kind, "ls", "-q").split()
    return [
        {"name": found["Name"], "labels": found.get("Labels") or {}}
        for found in (json.loads(words("docker", kind, "inspect", *names)) if names else [])
    ]


def files(asked):
    return {path: entry(path) for path in asked["paths"] if os.path.lexists(path)}


def entry(path):
    found = os.lstat(path)
    digest = ""
    if stat.S_ISREG(found.st_mode):
        with open(path, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
    kind = "d" if stat.S_ISDIR(found.st_mode) else "l" if stat.S_ISLNK(found.st_mode) else "f"
    owner, group = name(pwd.getpwuid, found.st_uid), name(grp.getgrgid, found.st_gid)
    mode = format(stat.S_IMODE(found.st_mode), "o")
    target = os.readlink(path) if kind == "l" else ""
    return {"kind": kind, "mode": mode, "owner": owner, "group": group, "digest": digest, "target": target}


def name(lookup, number):
    try:
        return [str(number), lookup(number)[0]]
    except KeyError:
        return [str(number)]


def safety(asked):
    """Firewall, sshd, kernel, updates: as the running host has them, not as its files say."""
    virtual = subprocess.run(["systemd-detect-virt", "-c"], capture_output=True, text=True, timeout=30)
    guard = "/usr/local/sbin/changeover-guard"
    paths = {key: f"/proc/sys/{key.replace('.', '/')}" for key in asked["kernel"]}
    return {
        "sshd": sshd(),
        "sshd_meant": sshd("/etc/ssh/sshd_config.d/10-changeover.conf"),
        "container": virtual.returncode == 0,
        "rules_file": text("/etc/nftables.conf") if os.path.exists("/etc/nftables.conf") else "",
        "rules": words("nft", "list", "ruleset") if os.path.exists("/usr/sbin/nft") else "",
        "kernel": {key: " ".join(text(path).split()) for key, path in paths.items() if os.path.exists(path)},
        "apt": words("apt-config", "dump").splitlines(),
        "updates": os.path.exists("/usr/bin/unattended-upgrade"),
        "swaps": text("/proc/swaps").splitlines()[1:],
        "guard": json.loads(words(guard, "status")) if os.path.exists(guard) else None,
        "accounts": [line.split(":")[:3] for line in text("/etc/shadow").splitlines()],
        "uid0": [line.split(":")[0] for line in text("/etc/passwd").splitlines() if line.split(":")[2] == "0"],
        "modes": {path: entry(path)["mode"] for path in asked["modes"] if os.path.exists(path)},
        "exposure": {unit: exposure(unit) for unit in asked["exposure"]},
        "journal": words("systemd-analyze", "cat-config", "systemd/journald.conf").splitlines(),
    }


def sshd(first=""):
    """What sshd reads; with `first`, a file that comes before all others."""
    with tempfile.NamedTemporaryFile("w") as whole:
        if first:
            whole.write(f"Include {first}\n{text('/etc/ssh/sshd_config')}")
            whole.flush()
        found = {}
        for line in words("sshd", "-T", *(["-f", whole.name] if first else [])).splitlines():
            keyword, _, value = line.partition(" ")
            found.setdefault(keyword, []).append(value)
        return found


def exposure(unit):
    """systemd's own word on how much a unit may do, 0 to 10."""
    last = words("systemd-analyze", "security", "--no-pager", unit).splitlines()[-1]
    return float(last.partition(":")[2].split()[0])


def argv(asked):
    """Every process's words. A process may end while we look."""
    found = {}
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            found[path.split("/")[2]] = text(path).replace("\0", " ").strip()
        except OSError:
            continue
    return found


TOPICS = {
    "system": system,
    "user": user,
    "peer": peer,
    "timers": timers,
    "engine": engine,
    "docker": docker,
    "files": files,
    "texts": lambda asked: {path: text(path) for path in asked["texts"] if os.path.exists(path)},
    "folders": lambda asked: {path: sorted(os.listdir(path)) for path in asked["folders"] if os.path.isdir(path)},
    "argv": argv,
    "safety": safety,
    "listeners": lambda asked: words("ss", "-Hltnp").splitlines(),
}


def main():
    asked = json.loads(sys.argv[1])
    result = {}
    for topic, look in TOPICS.items():
        try:
            result[topic] = look(asked)
        except Exception as error:
            result[topic] = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(result))


main()
