"""Which hosts there are, how each is started, and what happens to one that is there already."""

import pytest

from rehearsal import hosts, plan

OPS, EDGE, APP = plan.HOSTS[0], plan.HOSTS[1], plan.HOSTS[2]


def values(words: list[str], flag: str) -> list[str]:
    return [words[i + 1] for i, word in enumerate(words) if word == flag]


@pytest.mark.parametrize(
    ("cgroup", "sys_resource", "expected"),
    [
        ("1", True, plan.EXPLICIT),
        ("1", False, plan.EXPLICIT),
        ("2", False, plan.EXPLICIT),
        ("2", True, plan.PRIVILEGED),
        ("", True, plan.EXPLICIT),
    ],
)
def test_rights_follow_the_engine(cgroup: str, sys_resource: bool, expected: tuple[str, ...]) -> None:
    assert plan.profile(cgroup, sys_resource) == expected


def test_a_plain_host_exactly() -> None:
    words = plan.run_words(APP, "changeover/host:1", plan.PRIVILEGED, plan.SUBNET, {"changeover.owner": "me"})
    assert " ".join(words) == (
        "-d --name changeover-app1 --hostname app1 --domainname staging.test --network changeover --ip 172.30.99.12"
        " --stop-signal SIGRTMIN+3 --stop-timeout 30 --restart on-failure:5"
        " --network-alias app1 --network-alias app1.staging.test --privileged --cgroupns=private"
        " --tmpfs /run --tmpfs /run/lock --tmpfs /tmp:exec -v changeover-app1-docker:/var/lib/docker"
        " -p 127.0.0.1:2303:22 --label changeover.owner=me --label changeover.rehearsal=1 changeover/host:1"
    )


def test_the_gateway_publishes_its_ports_on_loopback_only() -> None:
    words = plan.run_words(EDGE, "image", plan.EXPLICIT, plan.SUBNET, {})
    assert values(words, "-p") == ["127.0.0.1:2302:22", "127.0.0.1:8080:80", "127.0.0.1:8443:443"]
    assert "tasks.staging.test" in values(words, "--network-alias")


def test_explicit_rights_leave_the_clock_alone() -> None:
    words = plan.run_words(APP, "image", plan.EXPLICIT, plan.SUBNET, {})
    assert values(words, "--cap-drop") == ["SYS_RESOURCE", "SYS_TIME"]
    assert "--privileged" not in words


def test_the_registry_keeps_its_content_in_a_volume_of_its_own() -> None:
    words = plan.run_words(OPS, "image", plan.EXPLICIT, plan.SUBNET, {})
    assert f"{plan.REGISTRY_VOLUME}:/var/lib/docker-registry" in values(words, "-v")
    assert OPS.engine_volume != plan.REGISTRY_VOLUME


def test_a_bare_host_has_no_engine_but_room_for_one() -> None:
    bare = plan.chosen(["bare1"])[-1]
    assert bare.image == "host-bare"
    words = plan.run_words(bare, "image", plan.EXPLICIT, plan.SUBNET, {})
    assert values(words, "-v") == ["changeover-bare1-docker:/var/lib/docker"]


def test_only_known_hosts_can_be_asked_for() -> None:
    assert [host.name for host in plan.chosen()] == ["ops1", "edge1", "app1", "app2", "data1"]
    with pytest.raises(KeyError):
        plan.chosen(["app9"])


def test_names_addresses_and_ports_are_used_once() -> None:
    everyone = plan.HOSTS + plan.ON_DEMAND
    ports = [port for host in everyone for port in (host.ssh_port, *(here for here, _ in host.published))]
    assert len(set(ports)) == len(ports)
    assert len({host.offset for host in everyone}) == len({host.name for host in everyone}) == len(everyone)


@pytest.mark.parametrize("subnet", ["10.0.0.0/28", "fd00::/64", "nonsense", "10.0.0.1/24"])
def test_a_subnet_that_does_not_do_is_refused(subnet: str) -> None:
    with pytest.raises(ValueError):
        plan.address(APP, subnet)


def test_addresses_follow_the_subnet() -> None:
    assert plan.address(APP, "10.9.0.0/24") == "10.9.0.12"


def found(state: str = "running", owner: str = "me", fingerprint: str = "f1", checkout: str = "/elsewhere") -> dict:
    marks = {"changeover.owner": owner, "changeover.checkout": checkout, "changeover.fingerprint": fingerprint}
    return {"state": state, "labels": marks}


@pytest.mark.parametrize(
    ("there", "todo", "why"),
    [
        (None, "create", ""),
        (found(), "keep", ""),
        (found("exited"), "start", ""),
        (found("created"), "start", ""),
        (found("paused"), "replace", "paused"),
        (found(owner="other"), "replace", "/elsewhere"),
        (found(owner="other", checkout="/here"), "replace", "keys and secrets"),
        (found(fingerprint="f2"), "replace", "changed"),
    ],
)
def test_what_happens_to_a_host_that_is_there(there: dict | None, todo: str, why: str) -> None:
    decided, reason = hosts.verdict(there, {"changeover.owner": "me", "changeover.checkout": "/here"}, "f1")
    assert decided == todo and why in reason


def test_a_fingerprint_changes_with_the_image_and_not_with_time() -> None:
    one = plan.run_words(APP, "image:1", plan.EXPLICIT, plan.SUBNET, {})
    other = plan.run_words(APP, "image:2", plan.EXPLICIT, plan.SUBNET, {})
    assert plan.fingerprint(one) == plan.fingerprint(list(one)) != plan.fingerprint(other)


def test_known_hosts_and_ssh_config() -> None:
    known = hosts.known_hosts({"app1": "ssh-ed25519 AAAA root@app1"}, [APP], plan.SUBNET)
    assert known == "[127.0.0.1]:2303,172.30.99.12,app1,app1.staging.test ssh-ed25519 AAAA\n"
    config = hosts.ssh_config([APP], "/k", "/known", "/tmp/c-%C")
    assert config.startswith("Host app1 app1.staging.test\n  HostName 127.0.0.1\n  Port 2303\n")
    assert "StrictHostKeyChecking yes" in config and "UserKnownHostsFile /known" in config


def test_labels_are_read_as_the_engine_prints_them() -> None:
    assert hosts.labels("a=1,b=x=y,c") == {"a": "1", "b": "x=y"}
