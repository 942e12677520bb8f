"""The right containers run on each host, as Docker reports them, and none more. Slots: see expected.idle()."""

from datetime import UTC, datetime

import pytest

from changeover.stack import image

from . import expected
from .places import GATEWAY, NGINX, edges, members
from .under_test import check

PROJECT, SERVICE = "com.docker.compose.project", "com.docker.compose.service"
# linux/capability.h, in the order of their bits.
CAPABILITIES = """CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT
SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP
""".split()
LOOP = 60  # seconds: a container that was restarted and is younger than this may be in a loop


@pytest.fixture
def pairs(fleet, service):
    """(what must be, what Docker shows) of the container of a service that serves, in its live slot if it has slots."""
    machine, system, name = service
    if system == GATEWAY:
        wanted = [expected.nginx(fleet.plan)]
    else:
        specs = [spec for spec in fleet.specs(system, machine) if spec.service == name and spec.role != "previous"]
        wanted = [expected.container(fleet.plan, system, machine, spec) for spec in specs]
    shown = by_service(fleet, machine, system)
    return [(want, shown[want.name]) for want in wanted if want.name in shown]


def by_service(fleet, machine, project):
    """{compose service: container} of a project."""
    return {c["Config"]["Labels"].get(SERVICE): c for c in of_project(fleet, machine, project)}


def of_project(fleet, machine, project):
    """The containers of a compose project, running or not."""
    containers = fleet.look(machine, "docker")["containers"]
    return [c for c in containers if (c["Config"]["Labels"] or {}).get(PROJECT) == project]


def test_exactly_the_expected_containers_are_there(fleet, machine):
    """Of every system and of the gateway, also where there must be none; a left-over of `compose run` counts."""
    name, plan = machine.machine, fleet.plan
    wanted, known = set(), set()
    for _, system, _ in (member for member in members(plan) if member.machine == name):
        wanted |= {f"{system}-{spec.name}-1" for spec in fleet.specs(system, name) if spec.role != "previous"}
        slots = [expected.idle(plan, system, key, fleet.state(system)) for key in plan.services_on(system, name)]
        known |= {f"{system}-{slot.name}-1" for slot in slots if slot}
    if machine in edges(plan):
        wanted.add(f"{GATEWAY}-{NGINX}-1")
    ours = [c for project in (*plan.systems, GATEWAY) for c in of_project(fleet, name, project)]
    found = {c["Name"].removeprefix("/"): c["State"]["Status"] for c in ours}
    missing = [f"{name}: {container} is missing" for container in sorted(wanted - found.keys())]
    extra = sorted(found.keys() - wanted - known)
    check(missing + [f"{name}: {left} ({found[left]}) belongs to nothing" for left in extra])


def test_the_other_slot_is_as_state_json_says(fleet, slotted):
    """Its release, and that it runs while it is the way back, and not when it has no traffic or is retired."""
    machine, system, name = slotted
    plan = fleet.plan
    slot = expected.idle(plan, system, name, fleet.state(system))
    if not slot:
        pytest.fail(f"{slotted}: state.json names no live slot", pytrace=False)
    have = by_service(fleet, machine, system).get(slot.name)
    state = have["State"] if have else {"Status": "missing"}
    health = state.get("Health", {}).get("Status", "healthy")
    runs = state["Status"] not in ("missing", "created", "exited", "dead")
    problems = []
    if slot.runs and (state["Status"], health) != ("running", "healthy"):
        problems.append(f"is {state['Status']} ({health}), and is the way back to {slot.release}")
    if runs and slot.runs is False:
        problems.append(f"is {state['Status']}, and must be stopped")
    if have and slot.release:
        labels = have["Config"]["Labels"]
        wanted = {
            "release": (labels.get("changeover.release"), slot.release),
            "slot": (labels.get("changeover.slot"), slot.slot),
        }
        tagged = image(plan, system, name, plan.systems[system].services[name], slot.release)
        pinned = fleet.live(system).pinned(slot.release, name, tagged)
        if have["Config"]["Image"] != tagged:  # made before its digest was written down
            wanted["image"] = (have["Config"]["Image"], pinned)
        problems += [f"{key} is {got}, not {want}" for key, (got, want) in wanted.items() if got != want]
    elif have:
        fleet.notes.append(f"{slotted}: {slot.name} ({state['Status']}) is left of a release that was given up")
    check([f"{slotted}: {slot.name}: {problem}" for problem in problems])


def test_a_singleton_runs_once_in_its_system(fleet, singleton):
    """Both slots, all hosts."""
    _, system, name = singleton
    running = [
        f"{machine}:{container['Name'][1:]}"
        for machine in fleet.plan.hosts
        for container in of_project(fleet, machine, system)
        if container["Config"]["Labels"].get("changeover.service") == name
        and container["State"]["Status"] not in ("created", "exited", "dead")
    ]
    check([f"{singleton}: runs {len(running)} times: {' '.join(running)}"] if len(running) != 1 else [])


def test_containers_are_healthy(pairs, service):
    assert pairs, f"{service}: has no container"
    problems = []
    for want, have in pairs:
        state = have["State"]
        health = state.get("Health", {}).get("Status")
        if state["Status"] != "running" or state["OOMKilled"]:
            problems.append(f"{want.name}: is {state['Status']}{', ran out of memory' * state['OOMKilled']}")
        elif want.health and health != "healthy":
            problems.append(f"{want.name}: health is {health}")
        started = datetime.fromisoformat(state["StartedAt"][:19]).replace(tzinfo=UTC)
        if have["RestartCount"] and (datetime.now(UTC) - started).total_seconds() < LOOP:
            problems.append(f"{want.name}: was restarted {have['RestartCount']} times, just now again")
    check([f"{service}: {problem}" for problem in problems])


def test_images_are_exact(fleet, pairs, service):
    """The name is the data's, names a version, and the container runs what the host has under that name."""
    images = fleet.look(service.machine, "docker")["images"]
    problems = []
    for want, have in pairs:
        used = have["Config"]["Image"]
        if used != want.image:
            problems.append(f"{want.name}: image is {used}, not {want.image}")
        if used.endswith(":latest") or ":" not in used.rpartition("/")[2]:
            problems.append(f"{want.name}: image {used} names no version")
        if images.get(used, have["Image"]) != have["Image"]:
            problems.append(f"{want.name}: runs another image than the host has as {used}")
    check([f"{service}: {problem}" for problem in problems])


def test_limits_are_as_the_data_says(pairs, service):
    """CPU and memory, limits and reservations (S1, "Resource Allocation"), as Docker reports them."""
    differences = [
        f"{service}: {want.name}: {key} is {have['HostConfig'][key]}, the data says {value}"
        for want, have in pairs
        for key, value in want.limits.items()
        if have["HostConfig"][key] != value
    ]
    check(differences)


def test_health_checks_are_as_the_data_says(pairs, service):
    problems = []
    for want, have in pairs:
        found = have["Config"].get("Healthcheck") or {}
        if want.health is None and found.get("Test") not in (None, ["NONE"]):
            continue  # the image's own
        wanted = want.health or {}
        problems += [
            f"{service}: {want.name}: {key} is {found.get(key)}, not {value}"
            for key, value in wanted.items()
            if found.get(key) != value
        ]
    check(problems)


def rights(names):
    """Capabilities as the settings write them."""
    return tuple(sorted(name.removeprefix("CAP_") for name in names or ()))


def test_containers_are_confined(pairs, service):
    """User, rights, what it may write, processes, log driver, time to stop: nothing runs wider than the data says."""
    problems = []
    for want, have in pairs:
        host, config = have["HostConfig"], have["Config"]
        found = {
            "restart policy": (host["RestartPolicy"]["Name"], "unless-stopped"),
            "log driver": (host["LogConfig"]["Type"], "local"),
            "log options": (host["LogConfig"]["Config"], {"max-size": "20m", "max-file": "5"}),
            "no-new-privileges": ("no-new-privileges:true" in (host["SecurityOpt"] or []), True),
            "privileged": (host["Privileged"], False),
            "dropped capabilities": (host["CapDrop"], ["ALL"]),
            "capabilities": (rights(host["CapAdd"]), want.capabilities),
            "read-only root": (host["ReadonlyRootfs"], want.read_only),
            "pids limit": (host["PidsLimit"], want.pids),
            "folders in memory": (sorted(want.tmpfs - {*(host["Tmpfs"] or ())}), []),
            "user": (config["User"], config["User"] if want.user is None else want.user),
            "stop timeout": (config.get("StopTimeout"), want.stop_timeout),
            "command": (config["Cmd"], want.command or config["Cmd"]),
        }
        wrong = [(key, got, wanted) for key, (got, wanted) in found.items() if got != wanted]
        problems += [f"{want.name}: {key} is {got}, not {wanted}" for key, got, wanted in wrong]
    check([f"{service}: {problem}" for problem in problems])


def test_the_kernel_knows_of_it(fleet, pairs, service):
    """Not only what Docker was told: a process of the container has these rights, and can get no others."""
    kernel = fleet.look(service.machine, "docker")["kernel"]
    problems = []
    for want, have in pairs:
        found = kernel.get(have["Name"])
        if not found:
            continue  # test_containers_are_healthy
        mask = sum(1 << CAPABILITIES.index(name) for name in want.capabilities)
        if int(found["CapBnd"], 16) != mask:
            problems.append(f"{want.name}: its capabilities are {found['CapBnd']}, the data says {mask:016x}")
        if found["NoNewPrivs"] != "1":
            problems.append(f"{want.name}: it can get new privileges")
        if want.user and {uid for uid in found["Uid"].split()} != {want.user.partition(":")[0]}:
            problems.append(f"{want.name}: it runs as {found['Uid']}, the data says {want.user}")
    check([f"{service}: {problem}" for problem in problems])


def test_labels_and_variables_are_as_the_data_says(pairs, service):
    """Among them the release: what state.json calls live in that slot."""
    problems = []
    for want, have in pairs:
        env = dict(line.split("=", 1) for line in have["Config"]["Env"])
        for what, found, wanted in (("label", have["Config"]["Labels"], want.labels), ("variable", env, want.env)):
            problems += [
                f"{service}: {want.name}: {what} {key} is {found.get(key)}, not {value}"
                for key, value in wanted.items()
                if found.get(key) != value
            ]
    check(problems)


def test_published_ports_are_as_the_data_says(pairs, service):
    problems = []
    for want, have in pairs:
        bindings = have["HostConfig"]["PortBindings"] or {}
        found = {
            (binding["HostIp"], int(binding["HostPort"]), int(inner.split("/")[0]))
            for inner, bound in bindings.items()
            for binding in bound
        }
        problems += [f"{want.name}: {port} is not published" for port in want.ports - found]
        problems += [f"{want.name}: {port} is published" for port in found - want.ports]
    check([f"{service}: {problem}" for problem in problems])
