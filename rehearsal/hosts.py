"""Starts the hosts, waits until they are hosts, and says how to reach them."""

import json
import socket
import time
from collections.abc import Iterable, Sequence

from . import plan
from .engine import Engine
from .errors import RehearsalError
from .plan import Host
from .shell import Shell

BOOT_LIMIT = 90
"""Seconds a host may take from start to `systemctl is-system-running` = running (2 s idle, 10 s on a busy machine)."""

# Runs in the host as root with authorized_keys on standard input; answers with the host's public key.
# $1: seconds it may take; $2: units that this host alone has.
SETTLE = r"""
set -eu
limit=$1 wanted=$2
install -d -m 0700 -o admin -g admin /home/admin/.ssh
cat > /home/admin/.ssh/authorized_keys.part
chown admin:admin /home/admin/.ssh/authorized_keys.part
mv /home/admin/.ssh/authorized_keys.part /home/admin/.ssh/authorized_keys
until [ -S /run/dbus/system_bus_socket ] || [ "$limit" -le 0 ]; do sleep 0.2; limit=$((limit - 1)); done
state=$(timeout "$1" systemctl is-system-running --wait || true)
if [ "$state" != running ]; then
  failed=$(systemctl --failed --plain --no-legend | cut -d' ' -f1 | tr '\n' ' ')
  echo "systemd says '$state'; failed units: $failed" >&2
  exit 3
fi
for unit in $wanted; do systemctl is-enabled -q "$unit" || systemctl enable -q --now "$unit"; done
cat /etc/ssh/ssh_host_ed25519_key.pub
"""


def containers(shell: Shell, docker: str) -> dict[str, dict]:
    """The rehearsal's containers on this engine, by name, as {"state", "labels"}; whoever's they are."""
    form = '{"name":{{json .Names}},"state":{{json .State}},"labels":{{json .Labels}}}'
    code, text = shell.ask([docker, "ps", "--all", "--filter", f"label={plan.LABEL}", "--format", form])
    if code:
        raise RehearsalError("the container engine does not answer", text, "docker ps")
    rows = [json.loads(line) for line in text.splitlines()]
    return {row["name"]: {"state": row["state"], "labels": labels(row["labels"])} for row in rows}


def labels(text: str) -> dict[str, str]:
    """`docker ps`'s a=b,c=d as a dictionary (our values hold no comma). Pure."""
    return dict(pair.partition("=")[::2] for pair in text.split(",") if "=" in pair)


def verdict(found: dict | None, owner: dict[str, str], fingerprint: str) -> tuple[str, str]:
    """What to do with a host: keep, start, create or replace; and why. Pure."""
    if found is None:
        return "create", ""
    if found["labels"].get("changeover.owner") != owner["changeover.owner"]:
        checkout = found["labels"].get("changeover.checkout", "another rehearsal")
        lost = checkout == owner["changeover.checkout"]
        return "replace", "its keys and secrets in .rehearsal are gone" if lost else f"it belonged to {checkout}"
    if found["labels"].get("changeover.fingerprint") != fingerprint:
        return "replace", "its image or its settings have changed"
    if found["state"] == "running":
        return "keep", ""
    if found["state"] in ("exited", "created"):
        return "start", ""
    return "replace", f"it was {found['state']}"


def network(shell: Shell, docker: str, subnet: str) -> None:
    """Make the hosts' network; one with another subnet is replaced when nothing is on it.

    Raises RehearsalError when it cannot be made (overlapping addresses).
    """
    subnets = "{{range .IPAM.Config}}{{.Subnet}}{{end}}"
    code, text = shell.ask([docker, "network", "inspect", plan.NETWORK, "--format", subnets])
    if code == 0 and text == subnet:
        return
    if code == 0:
        shell.run([docker, "network", "rm", plan.NETWORK], "network", 30, next_command="python -m rehearsal down")
    label = f"{plan.LABEL}=1"
    shell.run(
        [docker, "network", "create", "--label", label, "--subnet", subnet, plan.NETWORK],
        "network",
        30,
        next_command="CHANGEOVER_REHEARSAL_SUBNET=172.31.99.0/24 python -m rehearsal up",
    )


def bring_up(
    shell: Shell,
    engine: Engine,
    host: Host,
    image: str,
    subnet: str,
    owner: dict[str, str],
    found: dict | None,
    public_key: str,
    units: Sequence[str],
) -> str:
    """Bring one host up, whatever state it was in, and wait until it is one. Returns its public host key.

    Raises RehearsalError with the host's own words when it does not get there in BOOT_LIMIT seconds.
    """
    unlabelled = plan.run_words(host, image, engine.rights, subnet, owner)
    fingerprint = plan.fingerprint(unlabelled)
    words = plan.run_words(host, image, engine.rights, subnet, {**owner, "changeover.fingerprint": fingerprint})
    todo, why = verdict(found, owner, fingerprint)
    log = f"host-{host.name}"
    if todo == "keep":
        # Whatever was asked of it since (a unit that failed in a drill, say) is not ours to judge.
        return _settled(shell, engine.docker, host, public_key, units, strict=False)
    with shell.progress.step(host.name) as step:
        if todo == "replace":
            shell.progress.say(f" {host.name:<28} is replaced: {why}")
            remove(shell, engine.docker, host)
        if todo == "start":
            shell.run([engine.docker, "start", host.container], log, 60, next_command="python -m rehearsal down")
        else:
            shell.run([engine.docker, "run", *words], log, 60, next_command="python -m rehearsal down")
        key = _settled(shell, engine.docker, host, public_key, units, strict=todo != "start")
        wait_for_ssh(host.ssh_port)
        step.outcome = f"{'started again' if todo == 'start' else 'up'}, ssh answers on 127.0.0.1:{host.ssh_port}"
    return key


def _settled(shell: Shell, docker: str, host: Host, public_key: str, units: Sequence[str], strict: bool) -> str:
    words = [
        docker,
        "exec",
        "-i",
        host.container,
        "sh",
        "-c",
        SETTLE if strict else SETTLE.replace("exit 3", ":"),
        "settle",
        str(BOOT_LIMIT),
        " ".join(units),
    ]
    text = shell.run(
        words,
        f"host-{host.name}",
        BOOT_LIMIT + 10,
        input=public_key,
        next_command=f"docker exec {host.container} journalctl -b -p warning --no-pager",
    )
    return text.splitlines()[-1].strip()


def wait_for_ssh(port: int, limit: float = 30) -> None:
    """Wait until an SSH server greets on 127.0.0.1:port. Raises RehearsalError after `limit` seconds."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", port), 2) as connection:
                connection.settimeout(3)
                if connection.recv(4) == b"SSH-":
                    return
        except OSError:
            pass
        time.sleep(0.1)
    raise RehearsalError(f"no SSH greeting on 127.0.0.1:{port} within {limit:.0f} s", "", "python -m rehearsal status")


def remove(shell: Shell, docker: str, host: Host) -> None:
    """Remove a host and its own engine's volume; nothing happens when it is not there."""
    shell.ask([docker, "rm", "--force", "--volumes", host.container], limit=60)
    shell.ask([docker, "volume", "rm", "--force", host.engine_volume], limit=60)


def known_hosts(keys: dict[str, str], hosts: Iterable[Host], subnet: str) -> str:
    """known_hosts lines for every way to name a host; `keys` maps host name to public key. Pure."""
    lines = []
    for host in hosts:
        names = ",".join((f"[127.0.0.1]:{host.ssh_port}", plan.address(host, subnet), host.name, host.fqdn))
        lines.append(f"{names} {' '.join(keys[host.name].split()[:2])}\n")
    return "".join(lines)


def ssh_config(hosts: Iterable[Host], key: str, known: str, control_path: str) -> str:
    """An ssh_config with which `ssh -F FILE app1` works. Pure."""
    blocks = [f"Host {host.name} {host.fqdn}\n  HostName 127.0.0.1\n  Port {host.ssh_port}\n" for host in hosts]
    common = [
        "Host *",
        f"  User {plan.USER}",
        f"  IdentityFile {key}",
        "  IdentitiesOnly yes",
        f"  UserKnownHostsFile {known}",
        "  StrictHostKeyChecking yes",
        "  ControlMaster auto",
        f"  ControlPath {control_path}",
        "  ControlPersist 60s",
        "  LogLevel ERROR",
    ]
    return "\n".join([*blocks, *common]) + "\n"
