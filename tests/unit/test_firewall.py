"""Which ports are open and for whom follows from the plan alone: nothing for everybody but SSH and the gateway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from plans import Hosts, good, on_all, regroup

from changeover import firewall, fleet
from changeover.firewall import Open
from changeover.plan import Plan
from facts.secure import Firewalls
from operations import guard


def plan(*changes: Callable[[Hosts], None]) -> Plan:
    hosts = good()
    for change in changes:
        change(hosts)
    return fleet.load(hosts)


def one_vm(hosts: Hosts) -> None:
    """The first host is everything."""
    del hosts[1:]
    groups = ["edge", "app", "data", "shop", "hello", "staging"]
    hosts[0] = (hosts[0][0], groups, hosts[0][2])


def lines(made: Plan, host: str, chain: str = "open") -> list[str]:
    """The rules of a chain."""
    return firewall.lines_of(str(firewall.rules(made, host, [22]).content), chain)


def test_a_gateway_is_open_for_everybody_and_its_host_for_nothing_else() -> None:
    assert firewall.openings(plan(), "edge1") == [
        Open(80, "tcp", None, True, "gateway"),
        Open(443, "tcp", None, True, "gateway"),
    ]


def test_services_are_open_for_the_hosts_that_need_them() -> None:
    made = plan()
    gateway = ("10.0.0.11",)
    assert firewall.openings(made, "app2") == [
        Open(18000, "tcp", gateway, False, "shop.api"),
        Open(18001, "tcp", gateway, False, "shop.api"),
        Open(18100, "tcp", gateway, False, "hello.web"),
    ]
    apps = ("10.0.0.12", "10.0.0.13")  # the api is given both addresses, in a secret's text and in a variable
    assert firewall.openings(made, "data1") == [
        Open(5432, "tcp", apps, False, "shop.db"),
        Open(4222, "tcp", apps, False, "shop.queue"),
    ]


def test_an_address_that_is_spelled_out_counts_as_well() -> None:
    spelled = on_all("hello.services.web.env", {"QUEUE": "nats://10.0.0.14:4222"})
    made = plan(on_all("shop.services.api.env", {}), spelled)
    assert Open(4222, "tcp", ("10.0.0.12", "10.0.0.13"), False, "shop.queue") in firewall.openings(made, "data1")


def test_a_port_that_nobody_needs_is_closed() -> None:
    made = plan(on_all("shop.services.api.env", {}))
    assert [one.port for one in firewall.openings(made, "data1")] == [5432]


def test_one_host_that_is_everything_opens_its_services_for_its_own_containers_only() -> None:
    made = plan(one_vm)
    assert [line.split("proto-dst ")[1] for line in lines(made, "edge1")] == [
        '80 accept comment "gateway"',
        '443 accept comment "gateway"',
    ]
    assert [line.split("proto-dst ")[1].split()[0] for line in lines(made, "edge1", "here")] == [
        "5432", "4222", "18000", "18001", "18100",
    ]  # fmt: skip


def test_a_database_is_open_for_the_network_of_those_who_ask_it() -> None:
    """Not for the pages beside it on the same host."""
    rules = lines(plan(one_vm), "edge1", "here")
    inside = {line.split("proto-dst ")[1].split()[0]: line.split("meta")[0] for line in rules}
    assert inside == {
        "5432": 'iifname { "br-shop-b" } ', "4222": 'iifname { "br-shop-b" } ', "18000": "", "18001": "", "18100": "",
    }  # fmt: skip


def test_a_service_on_several_hosts_is_asked_on_the_first() -> None:
    """{address.SERVICE} is the first host's: the second one stays shut."""
    made = plan(regroup("app2", ["app", "data", "shop", "hello", "staging"]))
    assert 5432 in [one.port for one in firewall.openings(made, "app2")]
    assert 5432 not in [one.port for one in firewall.openings(made, "data1")]


@pytest.mark.parametrize(
    "opening, wanted",
    [
        ({"port": 5000}, ['meta l4proto tcp ct original proto-dst 5000 accept comment "fleet.firewall.open"']),
        ({"port": 51820, "protocol": "udp", "on": "edge"}, []),
        (
            {"protocol": "vrrp", "sources": ["10.0.0.9"]},
            ['ip saddr { 10.0.0.9/32 } meta l4proto 112 accept comment "fleet.firewall.open"'],
        ),
        ({"protocol": "esp"}, ['meta l4proto 50 accept comment "fleet.firewall.open"']),
        (
            {"port": 9100, "sources": ["10.0.0.0/24", "10.0.0.7", "fd00::/8"]},
            [
                f"{family} meta l4proto tcp ct original proto-dst 9100 accept comment \"fleet.firewall.open\""
                for family in ("ip saddr { 10.0.0.0/24 }", "ip6 saddr { fd00::/8 }")
            ],
        ),
    ],
)
def test_further_ports(opening: dict[str, Any], wanted: list[str]) -> None:
    made = plan(on_all("fleet.firewall", {"open": [opening]}))
    assert [line for line in lines(made, "data1") if "fleet.firewall.open" in line] == wanted


def test_ssh_is_open_for_everybody_unless_networks_are_named_and_then_for_the_hosts_too() -> None:
    def rules(made: Plan) -> list[str]:
        return [line for line in lines(made, "data1", "input") if "SSH" in line]

    assert rules(plan()) == ['tcp dport { 22 } accept comment "SSH"']
    named = plan(on_all("fleet.firewall", {"ssh_from": ["192.0.2.0/24"]}))
    assert rules(named) == [
        'ip saddr { 10.0.0.11/32, 10.0.0.12/31, 192.0.2.0/24 } tcp dport { 22 } accept comment "SSH"'
    ]


def test_all_that_is_not_named_is_dropped_and_nobody_elses_table_touched() -> None:
    text = str(firewall.rules(plan(), "data1", [22, 2222]).content)
    rules = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    assert "flush" not in rules
    assert [line for line in rules.splitlines() if line.startswith("table") or line.startswith("delete")] == [
        "table inet changeover",
        "delete table inet changeover",
        "table inet changeover {",
    ]
    assert rules.count("policy drop;") == 2 and "{ 22, 2222 }" in rules


def test_the_digest_follows_the_rules() -> None:
    made = plan()
    one, two = firewall.rules(made, "data1", [22]), firewall.rules(made, "data1", [23])
    assert firewall.digest(one) != firewall.digest(two) and len(firewall.digest(one)) == 16


def test_what_hosts_reach_of_each_other_is_what_is_open_for_them() -> None:
    made = plan()
    assert firewall.reaches(made, "data1") == [
        (name, f"10.0.0.{number}", 22) for name, number in (("edge1", 11), ("app1", 12), ("app2", 13))
    ]
    found = firewall.reaches(made, "app1")
    assert ("data1", "10.0.0.14", 5432) in found and ("data1", "10.0.0.14", 22) in found
    assert not [way for way in found if way[2] in (443, 18000)]


@pytest.mark.parametrize(
    "found, says",
    [
        (Firewalls((), {"10.0.0.12": "eth0"}), []),
        (Firewalls(("ufw",), {}), ["app1: has rules of its own (ufw); name what they open in "]),
        (Firewalls(("/etc/nftables.conf",), {}), ["app1: has rules of its own (/etc/nftables.conf); name what they "]),
        (Firewalls((), {"10.0.0.12": "br-lan"}), ["app1: its network card br-lan is named like the engine's"]),
        (Firewalls((), {"10.9.9.9": "br-lan"}), []),
    ],
)
def test_a_host_with_a_firewall_of_its_own_is_refused(found: Firewalls, says: list[str]) -> None:
    said = guard.refusals(plan(), "app1", found)
    assert len(said) == len(says) and all(line.startswith(start) for line, start in zip(said, says, strict=True))


# --- within a deploy nothing is taken away


def text_of(made: Plan, host: str, was: str = "") -> str:
    return str(firewall.rules(made, host, [22], was).content)


NO_QUEUE = on_all("shop.services.api.env", {})
QUEUE = 'ip saddr { 10.0.0.12/31 } meta l4proto tcp ct original proto-dst 4222 accept comment "shop.queue"'


def test_a_deploy_takes_nothing_away_that_the_release_before_needs() -> None:
    before = text_of(plan(), "data1")
    assert QUEUE in firewall.lines_of(before, "open")
    after = text_of(plan(NO_QUEUE), "data1", before)
    assert firewall.lines_of(after, "open") == firewall.lines_of(before, "open")
    assert QUEUE not in firewall.lines_of(text_of(plan(NO_QUEUE), "data1"), "open"), "alone it is the plan"


def test_a_host_that_leaves_a_system_answers_its_gateway_until_somebody_ends_it() -> None:
    gone = plan(regroup("app2", ["app", "hello", "staging"]))
    after = text_of(gone, "app2", text_of(plan(), "app2"))
    assert {"18000", "18001", "18100"} == {line.split("proto-dst ")[1].split()[0] for line in lines_in(after)}


def lines_in(text: str) -> list[str]:
    return firewall.lines_of(text, "open")


def test_what_is_kept_stays_where_it_is() -> None:
    """A second deploy changes nothing; a deploy back to the plan before keeps nothing."""
    after = text_of(plan(NO_QUEUE), "data1", text_of(plan(), "data1"))
    assert text_of(plan(NO_QUEUE), "data1", after) == after
    assert text_of(plan(), "data1", after) == text_of(plan(), "data1")
    one = plan(one_vm)
    here = text_of(plan(one_vm, on_all("shop.services.api.env", {})), "edge1", text_of(one, "edge1"))
    assert any("4222" in line for line in firewall.lines_of(here, "here"))


def test_a_host_more_is_no_reason_to_keep_the_line_of_fewer() -> None:
    fewer = plan(regroup("app2", ["app", "hello", "staging"]))
    assert not any(firewall.kept_lines(plan(), "data1", text_of(fewer, "data1")).values())
    assert len(firewall.kept_lines(fewer, "data1", text_of(plan(), "data1"))["open"]) == 2


def test_a_network_fewer_that_asks_is_kept() -> None:
    """On one host: the second system asks the first one's database no more."""
    asks = on_all("hello.services.web.env", {"QUEUE": "nats://10.0.0.11:4222"})
    made, fewer = plan(one_vm, asks), plan(one_vm)
    kept = firewall.kept_lines(fewer, "edge1", text_of(made, "edge1"))["here"]
    assert [line.partition(" meta")[0] for line in kept] == ['iifname { "br-hello-b", "br-shop-b" }']
    assert firewall.kept_lines(made, "edge1", text_of(fewer, "edge1"))["here"] == []


def test_a_person_is_told_what_is_kept_and_what_takes_it_away() -> None:
    (said,) = guard.kept(plan(NO_QUEUE), "data1", text_of(plan(), "data1"))
    assert said.startswith("data1: still open, though no settings want it any more: 4222/tcp (shop.queue); ")
    assert "pyinfra INVENTORY phases/secure.py -y" in said
    assert guard.kept(plan(), "data1", text_of(plan(), "data1")) == []
    assert guard.kept(plan(), "data1", "") == []


# --- pages ask no database, of any host


def test_pages_reach_no_database_of_another_host() -> None:
    """The engine sends their packets out under the host's own address, which the other host lets in."""
    text = text_of(plan(), "app1")
    before, _, after = text.partition("jump front")
    assert "iifname" not in before.partition("chain forward")[2] and 'iifname "br-*" accept' in after
    pages = 'iifname { "br-hello-f", "br-shop-f" } meta l4proto tcp ct original ip daddr 10.0.0.14 ct original'
    assert firewall.lines_of(text, "front") == [
        f'{pages} proto-dst 5432 counter drop comment "shop.db"',
        f'{pages} proto-dst 4222 counter drop comment "shop.queue"',
    ]


def test_what_the_team_opens_by_name_is_open_for_pages_too() -> None:
    made = plan(on_all("fleet.firewall", {"open": [{"port": 5432, "on": "data"}]}))
    assert ["4222" in line for line in lines(made, "app1", "front")] == [True]
    made = plan(on_all("fleet.firewall", {"open": [{"port": 5432, "on": "edge"}]}))
    assert len(lines(made, "app1", "front")) == 2


def test_what_pages_may_ask_is_as_the_plan_says_at_once() -> None:
    """A port that is opened by name is open, whatever the file of before says."""
    made = plan(on_all("fleet.firewall", {"open": [{"port": 5432, "on": "data"}]}))
    kept = firewall.lines_of(text_of(made, "app1", text_of(plan(), "app1")), "front")
    assert kept == lines(made, "app1", "front") != lines(plan(), "app1", "front")


def test_a_host_without_services_has_no_pages() -> None:
    assert lines(plan(), "edge1", "front") == []
