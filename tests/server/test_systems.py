"""Systems on the same hosts do not show in each other, and no host carries one that is not its own."""

from .places import GATEWAY, Place, edges
from .test_containers import PROJECT
from .under_test import check


def test_a_host_carries_only_its_own_systems(fleet, machine):
    """No folder, container, volume or network of a system whose group the host is not in."""
    name, plan = machine.machine, fleet.plan
    homes = {system: plan.run_dir(system) for system in plan.systems} | {GATEWAY: plan.fleet.gateway.run_dir}
    own = [*plan.systems_on(name), *([GATEWAY] if Place(name) in edges(plan) else [])]
    files, docker = fleet.look(name, "files"), fleet.look(name, "docker")
    labels = [c["Config"]["Labels"] or {} for c in docker["containers"]]
    labels += [thing["labels"] for thing in (*docker["volumes"], *docker["networks"])]
    strangers = {label[PROJECT] for label in labels if label.get(PROJECT) in homes.keys() - set(own)}
    folders = [(s, home) for s, home in homes.items() if s not in own and home in files]
    problems = [f"{name}: {home} is there, and {system} is not for this host" for system, home in folders]
    check(problems + [f"{name}: has containers, volumes or networks of {system}" for system in sorted(strangers)])


def test_nothing_is_shared_between_systems(fleet, machine):
    """Each container's networks, volumes and folders are its own project's; its labels agree with its project."""
    plan = fleet.plan
    homes = {system: plan.run_dir(system) for system in plan.systems} | {GATEWAY: plan.fleet.gateway.run_dir}
    used: dict[str, dict[str, str]] = {"network": {}, "mount": {}}
    problems = []
    for container in fleet.look(machine.machine, "docker")["containers"]:
        labels = container["Config"]["Labels"] or {}
        project, name = labels.get(PROJECT), container["Name"][1:]
        if project not in homes:
            continue
        networks = [] if project == GATEWAY else list(container["NetworkSettings"]["Networks"])
        mounts = [mount["Source"] for mount in container["Mounts"]]
        for kind, things in (("network", networks), ("mount", mounts)):
            for thing in things:
                if used[kind].setdefault(thing, project) != project:
                    problems.append(f"{name} ({project}) shares the {kind} {thing} with {used[kind][thing]}")
        problems += [
            f"{name} ({project}) reads {source}, which is {other}'s"
            for source in mounts
            for other, home in homes.items()
            if other != project and f"{source}/".startswith(f"{home}/")
        ]
        if labels.get("changeover.system", project) != project:
            problems.append(f"{name} ({project}) is labelled {labels['changeover.system']}")
    check([f"{machine}: {problem}" for problem in problems])


def test_names_do_not_meet(fleet):
    """Folders and compose projects of all systems and the gateway are different, none lies in another."""
    plan = fleet.plan
    homes = [f"{home}/" for home in (*map(plan.run_dir, plan.systems), plan.fleet.gateway.run_dir)]
    assert not [(a, b) for i, a in enumerate(homes) for j, b in enumerate(homes) if i != j and a.startswith(b)]
    assert GATEWAY not in plan.systems, "a system may not be called like the gateway's compose project"
