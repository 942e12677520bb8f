"""What keeps a host safe, as it runs and not as its files say; docs/security.md lists each check and each exception."""

import pytest

from changeover import firewall, hardening
from operations import guard, secure

from .under_test import MODES, check

MOST_EXPOSED = 3.0


@pytest.fixture
def safety(fleet, machine):
    return fleet.look(machine.machine, "safety")


def test_firewall_is_the_one_of_the_data(fleet, machine, safety):
    """The kernel has the rules, and the unit that loads them at boot is on."""
    if not fleet.plan.fleet.firewall.manage:
        pytest.skip("fleet.firewall.manage is False: the firewall is the team's own")
    ports = [int(port) for port in safety["sshd"]["port"]]
    digest = firewall.digest(firewall.rules(fleet.plan, machine.machine, ports, safety["rules_file"]))
    fleet.notes += guard.kept(fleet.plan, machine.machine, safety["rules_file"])
    rules = safety["rules"].partition(f"table {firewall.TABLE} {{")[2].partition("\n}")[0]
    unit = fleet.look(machine.machine, "system")["units"][guard.NFTABLES]
    problems = [] if f'comment "{digest}"' in rules else ["the kernel's rules are not those of the data"]
    problems += [f"chain {name} lets through what it does not know" for name in open_chains(rules)]
    if unit != ["active", "enabled"]:
        problems.append(f"{guard.NFTABLES} is {' '.join(unit)}")
    check([f"{machine}: {problem}" for problem in problems])


def open_chains(rules: str) -> list[str]:
    """Those of input and forward that do not drop what no rule names."""
    chains = {part.split()[0]: part for part in rules.split("\tchain ")[1:]}
    return [name for name in ("input", "forward") if "policy drop" not in chains.get(name, "")]


def test_no_change_waits_for_its_confirmation(fleet, machine, safety):
    unit = fleet.look(machine.machine, "system")["units"][guard.UNIT]
    problems = [f"{part} waits for a confirmation, and will go back" for part in safety["guard"] or []]
    if "enabled" not in unit:
        problems.append(f"{guard.UNIT}, which undoes at boot what nobody confirmed, is {' '.join(unit)}")
    check([f"{machine}: {problem}" for problem in problems])


def test_sshd_is_as_the_data_says(fleet, machine, safety):
    if not fleet.plan.fleet.sshd.manage:
        pytest.skip("fleet.sshd.manage is False: sshd is the team's own")
    said = safety["sshd"]
    wrong = hardening.wrong_sshd(fleet.plan.fleet, said, safety["sshd_meant"])
    check([f"{machine}: sshd has {keyword} {' '.join(said.get(keyword.lower(), []))}" for keyword in wrong])


def test_nobody_logs_in_with_a_password(machine, safety):
    """Over SSH; and root by no password at all. Asked of sshd itself, whatever the data says."""
    said = safety["sshd"]
    keywords = ("passwordauthentication", "kbdinteractiveauthentication", "permitemptypasswords")
    problems = [f"sshd has {keyword} {said[keyword][0]}" for keyword in keywords if said[keyword] != ["no"]]
    if said["permitrootlogin"][0] == "yes":
        problems.append("root may log in with a password")
    check([f"{machine}: {problem}" for problem in problems])


def test_accounts(machine, safety):
    """Nobody but root is root, and no account has an empty password."""
    problems = [f"{name} is root by another name" for name in safety["uid0"] if name != "root"]
    problems += [f"{name} has an empty password" for name, password, *_ in safety["accounts"] if not password]
    check([f"{machine}: {problem}" for problem in problems])


def test_kernel_has_its_settings(fleet, machine, safety):
    """Those of the running kernel; in a container only its own network's."""
    wanted, found = hardening.sysctl_values(fleet.plan.fleet, safety["container"]), safety["kernel"]
    if safety["container"]:
        fleet.notes.append(f"{machine} is a container: the kernel's other settings, and swap, are its machine's")
    wrong = [key for key in found.keys() & wanted.keys() if found[key] != wanted[key]]
    check([f"{machine}: {key} is {found[key]}, not {wanted[key]}" for key in sorted(wrong)])


def test_security_updates_come_by_themselves_and_leave_what_serves(fleet, machine, safety):
    updates, apt = fleet.plan.fleet.updates, safety["apt"]
    if not updates.automatic:
        pytest.skip("fleet.updates.automatic is False: the team updates in its own way")
    kept = [line.split('"')[1].replace("\\", "") for line in apt if line.startswith("Unattended-Upgrade::Package-Bl")]
    problems = [f"{name} would be updated while it serves" for name in hardening.KEPT if name not in kept]
    if not safety["updates"] or 'APT::Periodic::Unattended-Upgrade "1";' not in apt:
        problems.append("no security updates come by themselves")
    if 'Unattended-Upgrade::Automatic-Reboot "false";' not in apt:
        problems.append("it may restart by itself")
    units = fleet.look(machine.machine, "system")["units"]
    problems += [f"{timer} is {' '.join(units[timer])}" for timer in secure.TIMERS if units[timer][0] != "active"]
    check([f"{machine}: {problem}" for problem in problems])


def test_the_journal_is_bounded(fleet, machine, safety):
    limit = f"SystemMaxUse={fleet.plan.fleet.journal}"
    check([] if limit in safety["journal"] else [f"{machine}: journald does not read {limit}"])


def test_swap_is_there_where_the_data_wants_it(fleet, machine, safety):
    if not fleet.plan.fleet.swap or safety["container"]:
        pytest.skip("fleet.swap is None, or the host is a container, whose swap is its machine's")
    used = [line.split()[0] for line in safety["swaps"]]
    check([] if hardening.SWAP_FILE in used else [f"{machine}: {hardening.SWAP_FILE} is not in use"])


def test_what_logins_depend_on_is_roots(machine, safety):
    """No more rights for others than each file's usual ones."""
    found = safety["modes"]
    wide = [path for path, mode in found.items() if int(mode, 8) & ~int(MODES[path], 8)]
    check([f"{machine}: {path} has mode {found[path]}, {MODES[path]} is the most" for path in wide])


def test_our_units_may_do_little(machine, safety):
    """By systemd's own count (systemd-analyze security), 0 to 10."""
    check([f"{machine}: {unit}: exposure {much}" for unit, much in safety["exposure"].items() if much > MOST_EXPOSED])
