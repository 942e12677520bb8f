"""What is live is said alike by all, and nothing is under way or half done."""

import json

from facts.host import STATE_DIR, state_path
from hostcmd.transaction import JOURNAL

from .under_test import check

SAME = ("generation", "release", "slots", "retired")  # of state.json, on every host once nothing is under way


def test_a_release_is_live_in_every_live_slot(fleet, leader):
    machine, system, _ = leader
    live, path = fleet.live(system), state_path(system)
    problems = [] if live.release.live else [f"{path} names no live release"]
    for name in fleet.plan.switched(system):
        slot = live.slots.get(name)
        release = slot.release(slot.live) if slot else None
        if release is None or release != live.release.live:
            problems.append(f"{name}'s live slot {slot and slot.live} holds {release}, not {live.release.live}")
    check([f"{leader}: {problem}" for problem in problems])


def test_every_host_has_the_coordinators_state(fleet, member):
    """Its own copy, which it serves by when nobody else answers."""
    machine, system, _ = member
    wanted, found = fleet.state(system), fleet.state(system, machine)
    different = [key for key in SAME if found[key] != wanted[key]]
    leader = fleet.plan.coordinator(system).name
    check([f"{member}: {key} is {found[key]}, {leader} says {wanted[key]}" for key in different])


def test_every_host_answers_the_same(fleet, member):
    """`changeover status`, typed anywhere: the coordinator's answer, and it reaches every host of the system."""
    machine, system, _ = member
    wanted, said = fleet.state(system), fleet.changeover(machine, system, "status")
    hosts = said.get("hosts", {})
    problems = [] if said.get("source") == "coordinator" else [f"it does not come from the coordinator: {said}"[:300]]
    problems += [
        f"{key} is {said.get(key)}, state.json says {wanted[key]}"
        for key in ("generation", "release")
        if said.get(key) != wanted[key]
    ]
    for host in (host.name for host in fleet.plan.group(system)):
        answer = hosts.get(host, {"reachable": False, "error": "it is not named"})
        if not answer["reachable"]:
            problems.append(f"{host}: {answer['error']}")
    for gateway in (host.name for host in fleet.plan.gateways(system)):
        serves = (hosts.get(gateway, {}).get("gateway") or {}).get("generation")
        if serves != wanted["generation"]:
            problems.append(f"{gateway} serves generation {serves}, not {wanted['generation']}")
    problems += [f"off: {line}" for line in said.get("off") or []]  # containers, drift, hosts that are to be told
    check([f"{member}: status: {problem}" for problem in problems])


def test_nothing_is_under_way(fleet, leader):
    """No lease, nothing staged, no host that must still be told, nobody at work, no lock, the journal closed."""
    machine, system, _ = leader
    state, status = fleet.state(system), fleet.changeover(machine, system, "status")
    problems = [f"{key}: {state[key]}" for key in ("lease", "pending", "staged") if state[key]]
    problems += [f"candidate: {state['release']['candidate']}"] if state["release"]["candidate"] else []
    problems += [f"{key}: {status[key]}" for key in ("busy", "lock") if status.get(key)]
    path = f"{STATE_DIR}/{system}/{JOURNAL}"
    question = {"id": "it", "kind": "words", "words": ["tail", "-n1", path]}
    last = json.loads(fleet.ask(machine, [question])["it"].get("out") or "{}").get("kind", "missing")
    problems += [] if last in ("end", "undone") else [f"{path}: its last record is {last}"]
    check([f"{leader}: {problem} (a deploy is running, or was cut off)" for problem in problems])


def test_an_alarm_is_set_while_something_is_due_and_no_longer(fleet, leader):
    """The slot that is kept warm is stopped by a timer of the coordinator; when nothing is due there is no timer."""
    machine, system, _ = leader
    state = fleet.state(system)
    due = [key for key in ("lease", "warm", "pending") if state[key]]
    timers = [name for name in fleet.look(machine, "timers") if name.startswith(f"changeover-lease-{system}.")]
    if due and not timers:
        check([f"{leader}: {' and '.join(due)} will end, and no timer is set"])
    check([f"{leader}: {name} is set, and nothing is due" for name in timers if not due])


def test_chain_of_the_audit_holds(fleet, leader):
    """Each line names the one before; the last is about what is live."""
    machine, system, _ = leader
    said, state = fleet.changeover(machine, system, "audit", "--verify"), fleet.state(system)
    check([] if said.get("verified") else [f"{leader}: audit: {said.get('error')}"])
    lines = fleet.changeover(machine, system, "audit")["lines"]
    found = (lines[-1]["to"], lines[-1]["generation"]) if lines else None
    wanted = (state["release"]["live"], state["generation"])
    assert found == wanted, f"{leader}: the audit's last line is about {found}, state.json about {wanted}"
