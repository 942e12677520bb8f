"""What every host is: a supported system with a running engine, the deploy user, the right time, its files."""

from changeover.files import File
from changeover.fitness import SUPPORTED
from operations import secure
from operations.provision import DAEMON, UNITS

from .under_test import check, differences


def test_operating_system_is_supported(fleet, machine):
    found = fleet.look(machine.machine, "system")
    assert found["version"] in SUPPORTED.get(found["os"], ()), f"{found['os']} {found['version']}"


def test_units_run_and_will_after_a_reboot(fleet, machine):
    """The engine, the time synchronisation, the journal."""
    found = fleet.look(machine.machine, "system")["units"]
    right = (["active", "enabled"], ["active", "static"])
    wanted = [*UNITS, *secure.UNITS]
    check([f"{machine}: {unit} is {' '.join(found[unit])}" for unit in wanted if found[unit] not in right])


def test_no_unit_has_failed(fleet, machine):
    check([f"{machine}: {unit} has failed" for unit in fleet.look(machine.machine, "system")["failed"]])


def test_compose_is_version_2_or_later(fleet, machine):
    version = fleet.look(machine.machine, "engine")["compose"]
    assert int(version.removeprefix("v").split(".")[0]) >= 2, f"{machine}: docker compose is {version}"


def test_engine_runs_with_the_settings_of_the_data(fleet, machine):
    """The file says it, and the running engine has read it."""
    found, wanted = fleet.look(machine.machine, "engine"), {**DAEMON, **fleet.plan.fleet.daemon}
    info = found["info"]
    registries = info["RegistryConfig"]["IndexConfigs"]
    pools = [{"base": pool["Base"], "size": pool["Size"]} for pool in info.get("DefaultAddressPools") or []]
    running = {
        "live-restore": info["LiveRestoreEnabled"],
        "log-driver": info["LoggingDriver"],
        "insecure-registries": sorted(name for name, index in registries.items() if not index["Secure"]),
        "default-address-pools": pools,
    }
    problems = [] if found["settings"] == wanted else [f"{machine}: daemon.json is {found['settings']}, not {wanted}"]
    for key in running.keys() & wanted.keys():
        value = sorted(wanted[key]) if key == "insecure-registries" else wanted[key]
        if running[key] != value:
            problems.append(f"{machine}: the running engine's {key} is {running[key]}, the data says {value}")
    check(problems)


def test_deploy_user_exists_and_has_no_password(fleet, machine):
    found, wanted = fleet.look(machine.machine, "user"), fleet.plan.fleet
    problems = [f"key of {key.split()[-1]} may not log in" for key in wanted.deploy_keys if key not in found["keys"]]
    if found["password"] not in ("L", "LK"):
        problems.append(f"the password is not locked (passwd -S says {found['password']})")
    if "docker" not in found["groups"]:
        problems.append("is not in group docker")
    check([f"{machine}: {wanted.deploy_user}: {problem}" for problem in problems])


def test_files_are_as_the_data_says(fleet, machine):
    """Content by digest, mode and owner of all that a deploy puts there; contents are never shown."""
    name = machine.machine
    found = fleet.look(name, "files")
    problems = []
    for entry in fleet.desired(name):
        digests = fleet.digests(name, entry) if isinstance(entry, File) else set()
        problems += differences(entry, found.get(entry.path), digests)
    check([f"{machine}: {problem}" for problem in problems])
