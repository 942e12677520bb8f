"""One bare Debian host becomes everything: planned on bare ground, deployed, unchanged by a second run, shut but for
its published ports; its secrets are rotated under load, and old and new values are only where they belong.
"""

import json
import os
import subprocess
import sys
import time

from changeover.logins import login
from rehearsal.load import beside
from rehearsal.plan import BARE_HTTPS_PORT
from tests import support
from tests.rehearsal.one_host import DETAILED, INVENTORY
from tests.support import scan, ssh, wait_for

BOOTED = "systemctl show -p UserspaceTimestamp --value"
SECRETS = "/srv/tasktracker/secrets/"
LOGIN = (
    "docker exec -i tasktracker-postgres-1 sh -c 'IFS= read -r PGPASSWORD; export PGPASSWORD; "
    'psql -w -h $(hostname -i) -U {role} -d tasktracker -Atqc "select session_user, current_user"\''
)


def test_plan_on_bare_ground_then_deploy_then_nothing(bare):
    plan = bare.run("deploy.py", "--dry", "--diff", "-vvv")
    assert plan.code == 0, plan.text
    assert "engine and compose packages" in plan.text
    assert ssh("bare1", "command -v docker || echo none; ls /srv") == "none", "a plan must change nothing"

    first = bare.run("deploy.py", "-y", "-vvv", "--json", limit=900)
    assert first.code == 0, first.text
    assert first.changes > 10
    checks = json.loads((support.ROOT / "reports" / "latest" / "record.json").read_text())["checklist"]
    tested = [one["verdict"] for one in checks if "tests of" in one["item"] or "smoke test" in one["item"]]
    assert tested == ["pass"] * 4, "a first installation has its tests too"
    second = bare.run("deploy.py", "-y", "--json")
    assert second.code == 0 and second.changes == 0, second.text

    state = json.loads(ssh("bare1", "cat /var/lib/changeover/tasktracker/state.json"))
    assert state["release"]["live"] == "1.0.0" and state["generation"] == 1
    health = ssh("bare1", DETAILED)
    assert json.loads(health)["status"] == "ok"
    assert ssh("bare1", "docker ps -q | wc -l") == "8"  # 6 services, the second system's, the gateway
    assert ssh("bare1", "stat -c '%a %U' /srv/tasktracker/secrets") == "700 root"


def test_only_the_published_ports_answer(bare):
    """As another host sees it: also after nftables, the engine and the host itself were started anew."""
    address = support.status()["hosts"]["bare1"]["address"]
    nginx = ssh("bare1", "docker ps --format {{.Image}} | grep /nginx: | head -n 1")
    ssh("bare1", "systemd-run -q --unit=stray python3 -m http.server 7777")
    ssh("bare1", f"docker run -d --name stray --restart always -p 7778:80 {nginx}")
    wait_for("the stray container", lambda: ssh("bare1", "curl -s -o /dev/null 127.0.0.1:7778; echo $?") == "0", 20)
    published = {"open": [22, 80, 443], "refused": [5000]}  # 5000: opened by the settings, and nothing listens

    assert scan("ops1", address) == published
    ssh("bare1", "nft delete table inet changeover")
    assert set(scan("ops1", address)["open"]) >= {5555, 7777, 7778, 18000}, "nothing was there to be shut out"
    ssh("bare1", "systemctl restart nftables")
    assert scan("ops1", address) == published
    assert "--to-destination" in ssh("bare1", "iptables -t nat -S DOCKER"), "the engine's own rules are gone"
    ssh("bare1", "systemctl restart docker")
    assert scan("ops1", address) == published
    bare.serves()
    first = ssh("bare1", BOOTED)
    ssh("bare1", "systemctl reboot", check=False)
    # systemd gives a process that does not end 90 s before it cuts the power
    wait_for("the boot", lambda: ssh("bare1", BOOTED) not in ("", first), 180)
    wait_for("the stray", lambda: ssh("bare1", "docker inspect -f {{.State.Running}} stray") == "true", 60)
    bare.serves()
    assert scan("ops1", address) == published
    ssh("bare1", "docker rm -f stray")


def test_the_network_of_the_pages_does_not_lead_to_the_database(bare):
    """On one host too: neither over the containers' own addresses nor over the published ports."""
    address = support.status()["hosts"]["bare1"]["address"]
    inside = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    places = {(address, port) for port in (5555, 4222)}
    for service, port in (("postgres", 5432), ("nats", 4222)):
        places.add((ssh("bare1", f"docker inspect -f '{inside}' tasktracker-{service}-1"), port))
    assert {place: reaches("dashboard", *place) for place in places} == dict.fromkeys(places, False)
    assert reaches("dashboard", address, 443), "it asked at all"
    assert {place: reaches("api", *place) for place in places} == dict.fromkeys(places, True)


def reaches(service, address, port):
    """Whether a container of the live slot can open a connection; asked in its network, whatever its image holds."""
    pid = f"$(docker inspect -f '{{{{.State.Pid}}}}' tasktracker-{service}-blue-1)"
    asked = f"nsenter -t {pid} -n timeout 3 bash -c '</dev/tcp/{address}/{port}' 2>/dev/null && echo yes || echo no"
    return ssh("bare1", asked) == "yes"


def test_secrets_are_rotated_without_a_failed_request(bare, tmp_path):
    old = bare.canaries.values["TASKTRACKER_DB_PASSWORD"]
    bare.canaries.plant()
    plan = bare.run("deploy.py", "--dry", "--diff", "-vvv")
    assert plan.code == 0, plan.text

    mix = json.loads((support.ROOT / "examples/tasktracker/load.json").read_text())
    mix["count"]["host"] = "bare1"
    (tmp_path / "mix.json").write_text(json.dumps(mix))
    words = ["--mix", str(tmp_path / "mix.json"), "--gateway", f"127.0.0.1:{BARE_HTTPS_PORT}"]
    words += ["--rate", "40", "--sockets", "20"]
    with beside.load(tmp_path / "load.json", *words, seconds=400, requests=30_000) as load:
        rotated = bare.run("runbooks/rotate_secrets.py", "-y", "-vvv")
        time.sleep(3)
    assert rotated.code == 0, rotated.text
    result = load.result
    assert result["failed"] == 0 and result["rows"]["ok"] and result["rows"]["answered"] > 100, result
    assert set(result["by_slot"]) == {"blue", "green"}

    new = bare.canaries.values["TASKTRACKER_DB_PASSWORD"]
    assert logs_in(new) == f"{login('tasktracker', new)}|tasktracker"
    assert "password authentication failed" in logs_in(old)
    checks = json.loads((support.ROOT / "reports" / "latest" / "record.json").read_text())["checklist"]
    seen = f"{login('tasktracker', new)} logs in; locked: {login('tasktracker', old)}"
    assert seen in [one["evidence"] for one in checks]
    again = bare.run("runbooks/rotate_secrets.py", "-y", "--json")
    assert again.code == 0 and again.changes == 0, again.text


def logs_in(password):
    """Who a password is to the database over the network, or why it is nobody."""
    words = ["ssh", "-F", str(support.ROOT / ".rehearsal" / "ssh_config"), "bare1"]
    command = LOGIN.format(role=login("tasktracker", password))
    done = subprocess.run(
        [*words, f"sudo {command}"], input=f"{password}\n", capture_output=True, text=True, timeout=60
    )
    return (done.stdout + done.stderr).strip()


def test_no_secret_is_where_it_does_not_belong(bare):
    """Old and new values: on the host, in its containers, images and journal, in what was printed, in reports, argv."""
    found = bare.canaries.on_host("bare1")
    assert sum(path.startswith(SECRETS) for path in found) >= 10, "the search finds what is there"
    assert [path for path in found if not path.startswith(SECRETS)] == []
    assert bare.canaries.here(bare.began) == []
    assert not bare.canaries.within(bare.printed)
    assert any("docker exec -i tasktracker-postgres-1 psql" in line for line in bare.lines), "the host's were seen"
    assert not [line for line in bare.lines if bare.canaries.within(line)]
    assert any(one.startswith("POSTGRES_PASSWORD_FILE=") for one in bare.variables), "the containers' were seen"
    assert not [one.partition("=")[0] for one in bare.variables if bare.canaries.within(one)]


def test_the_server_suite_holds_on_one_vm_too(bare):
    words = [sys.executable, "-m", "pytest", "tests/server", "--inventory", INVENTORY, "-q", "--no-header"]
    env = {**os.environ, **bare.canaries.values}
    done = subprocess.run(words, cwd=support.ROOT, capture_output=True, text=True, timeout=300, env=env)
    assert done.returncode == 0, done.stdout[-4000:]
