"""What a host had before a firewall of ours is found, and said with what ends it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fakes import Outcome
from plans import good, on_all

from changeover import fleet
from changeover.firewall_before import remedy, shutting, silenced
from facts.secure import Listening, OtherFirewalls
from operations import afresh, flow, guard

Run = Callable[..., Outcome]


def table(name: str, rule: str, policy: str = "accept", hook: str = "input") -> list[str]:
    return [
        f"table {name} {{",
        "\tchain X {",
        f"\t\ttype filter hook {hook} priority filter; policy {policy};",
        f"\t\t{rule}",
        "\t}",
        "\tchain jumped-to {",
        "\t\tip saddr 192.0.2.1 reject",
        "\t}",
        "}",
    ]


@pytest.mark.parametrize(
    "ruleset, found",
    [
        ([], []),
        (table("inet filter", "", "drop"), ["inet filter"]),
        (table("ip filter", "tcp dport 5432 counter packets 0 bytes 0 drop"), ["ip filter"]),
        (table("inet own", "reject with icmp port-unreachable"), ["inet own"]),
        (table("inet own", 'accept comment "drop"'), []),
        (table("ip filter", "jump jumped-to"), []),
        (table("ip filter", "drop", hook="forward"), []),
        (table("inet changeover", "drop", "drop"), []),
        (table("ip docker-bridges", "drop", "drop"), []),
        (table("inet f2b-table", "tcp dport 22 ip saddr @f2b reject"), []),
        (table("ip filter", "accept") + table("inet own", "drop"), ["inet own"]),
    ],
)
def test_rules_of_the_kernel_count_and_not_only_files(ruleset: list[str], found: list[str]) -> None:
    assert shutting(ruleset) == found


def test_a_host_says_what_else_shuts_its_ports() -> None:
    lines = [f"nft:{line}" for line in table("inet own", "", "drop")]
    fact = OtherFirewalls()
    assert fact.process([*lines, "card 10.0.0.12 eth0"]).others == ("table inet own",)
    assert fact.process([*lines, "card 10.0.0.12 eth0"]).cards == {"10.0.0.12": "eth0"}
    assert fact.process(["ufw", *lines]).others == ("ufw",), "its tables go with it"


@pytest.mark.parametrize(
    "other, says",
    [
        ("table inet own", "nft delete table inet own"),
        ("table ip filter", "iptables -P INPUT ACCEPT && iptables -F INPUT"),
        ("netfilter-persistent", "systemctl disable --now netfilter-persistent"),
        ("something", None),
    ],
)
def test_the_remedy_also_unloads(other: str, says: str | None) -> None:
    assert remedy(other) == says


SS = """\
tcp LISTEN 0 4096 0.0.0.0:9100 0.0.0.0:* users:(("node_exporter",pid=1,fd=3))
tcp LISTEN 0 128 [::]:22 [::]:* users:(("sshd",pid=2,fd=4))
tcp LISTEN 0 4096 10.0.0.14:5432 0.0.0.0:* users:(("docker-proxy",pid=3,fd=4))
tcp LISTEN 0 4096 10.0.0.14:6379 0.0.0.0:* users:(("docker-proxy",pid=3,fd=4))
udp UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:* users:(("systemd-resolve",pid=4,fd=4))
udp UNCONN 0 0 [::1]:323 [::]:*
udp UNCONN 0 0 *:161 *:*
udp UNCONN 0 0 0.0.0.0:68 0.0.0.0:*
"""


def test_what_answers_now_and_will_not_is_said_by_name() -> None:
    said = silenced(fleet.load(good()), "data1", [22], Listening().process(SS.splitlines()))
    end = "answers now and will not: name it in fleet.firewall.open"
    assert said == [
        f"data1: 161/udp (unknown) {end}",
        f"data1: 6379/tcp (docker-proxy) {end}",
        f"data1: 9100/tcp (node_exporter) {end}",
    ]


class Told:
    """The facts that a host answers with, by the fact's name."""

    def __init__(self, **answers: object):
        self.answers = answers

    def get_fact(self, fact: type, **_: object) -> object:
        return self.answers.get(fact.__name__, fact.default())  # type: ignore[attr-defined]


def said(monkeypatch: pytest.MonkeyPatch, manage: bool, exact: bool = False, **answers: object) -> list[str]:
    hosts = good()
    on_all("fleet.firewall", {"manage": manage})(hosts)
    monkeypatch.setattr(guard, "host", Told(**answers))
    return guard.notes(fleet.load(hosts), "data1", exact)


def test_only_a_host_without_rules_of_ours_is_told_what_they_will_shut(monkeypatch: pytest.MonkeyPatch) -> None:
    listening = [(9100, "tcp", "node_exporter")]
    assert len(said(monkeypatch, True, Listening=listening)) == 1
    assert said(monkeypatch, True, Listening=listening, RulesLoaded="0123") == []


def test_rules_that_the_team_took_over_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(monkeypatch, False) == []
    (line,) = said(monkeypatch, False, RulesLoaded="0123", RulesFile="x")
    assert line.endswith("nft delete table inet changeover && mv /etc/nftables.conf /etc/nftables.conf.changeover")


# --- a host that its peers do not know yet


WAYS = [("@fake/two", "10.0.0.2", 5432), ("data9", "10.0.0.9", 4222)]


@pytest.mark.parametrize(
    "changed, silent, failed, notes",
    [
        ({"@fake/one"}, ["10.0.0.9:4222"], False, 1),
        ({"@fake/one"}, [], False, 0),
        ({"@fake/one"}, ["10.0.0.2:5432", "10.0.0.9:4222"], True, 1),
        ({"@fake/two"}, ["10.0.0.2:5432"], True, 0),
    ],
)
def test_a_silent_host_outside_the_run_is_said(
    run: Run, monkeypatch: pytest.MonkeyPatch, changed: set[str], silent: list[str], failed: bool, notes: int
) -> None:
    monkeypatch.setattr(afresh, "CHANGED", changed)
    monkeypatch.setattr(afresh, "shell", lambda *_: (True, silent))
    monkeypatch.setattr(flow, "NOTES", [])
    monkeypatch.setattr(flow, "FAILURES", {})
    done = run(afresh.reached, ways=WAYS, within="90s")
    assert done.failed == failed and len(flow.NOTES) == notes
    assert all("data9's firewall does not know @fake/one yet: run without --limit" in line for line in flow.NOTES)


def test_a_note_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host is asked when a run is planned, and again when it runs."""
    monkeypatch.setattr(flow, "NOTES", [])
    flow.note("x")
    flow.note("x")
    assert flow.NOTES == ["x"]
