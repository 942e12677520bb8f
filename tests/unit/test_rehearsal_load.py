"""The load: its shares and bounds, that nothing is sent twice, and that what is lost is seen."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived, StreamEnded

from rehearsal.errors import RehearsalError
from rehearsal.load import clients, count, heard, http1, http2, mix, run, series
from rehearsal.load.clients import Sent
from rehearsal.load.connect import Answer, Lost, Target
from rehearsal.load.sockets import Session, Write

MIX = Path(__file__).parents[2] / "examples/tasktracker/load.json"
TARGET = Target("tasks.example.com", 443, "127.0.0.1", "ca.crt")
GET = mix.Item(mix.Request("g", "GET", "/", 200))
POST = mix.item(mix.Request("p", "POST", "/topics", 201, json={"id": "{id}"}), "a-1")
STATUS = {
    "state": "up",
    "gateway": {"url": "https://tasks.example.com:8443", "https_port": 8443, "address": "127.0.0.1", "ca": "ca"},
    "hosts": {"edge1": {"address": "172.30.99.11"}},
}


def sent(t=100.0, ms=10.0, **changes) -> Sent:
    row = dict(style="h1 keep-alive", name="n", method="GET", slow=False, status=200, error="", id="", slot="")
    return Sent(**{"t": t, "ms": ms, **row, **changes})


def test_the_sample_has_at_least_three_posts_in_ten_and_one_slow_in_a_hundred():
    deck = mix.Deck(mix.read(MIX), "load-x-")
    cards = sum(one.weight for one in deck.mix.requests)
    dealt = [deck.deal() for _ in range(3 * cards)]
    ids = [one.id for one in dealt if one.id]
    assert len(ids) >= 0.3 * len(dealt)
    assert len(ids) == len(set(ids))
    assert json.loads(next(one for one in dealt if one.id == ids[0]).parts[0])["external_id"] == ids[0]
    shares = Counter(one.request.name for one in dealt)
    assert shares == {one.name: 3 * one.weight for one in deck.mix.requests}
    assert shares["slow answer"] >= len(dealt) / 100 and shares["slow upload"]


def test_a_mix_that_is_none_is_named(tmp_path):
    file = tmp_path / "load.json"
    file.write_text('{"requests": [{"name": "x", "wieght": 3}]}')
    with pytest.raises(RehearsalError, match="is no description of a load"):
        mix.read(file)


def test_processes_together_never_do_more_than_asked():
    options = run.Options(Path("o"), seconds=1, requests=1001, mix=MIX, rate=100, clients=7, sockets=5, processes=3)
    orders = run.orders(options, TARGET, "p-", Path("f"))
    assert sum(order.requests for order in orders) == 1001
    assert sum(order.clients for order in orders) == 7
    assert sum(order.rate for order in orders) == pytest.approx(100)
    assert [n for order in orders for n in range(*order.sockets)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("address, allowed", [("127.0.0.9", True), ("172.30.99.11", True), ("192.0.2.1", False)])
def test_load_goes_to_this_machine_or_the_rehearsals_hosts_only(address, allowed):
    status = {**STATUS, "gateway": {**STATUS["gateway"], "address": address}}
    if allowed:
        assert run.target(status) == Target("tasks.example.com", 8443, address, "ca")
    else:
        with pytest.raises(RehearsalError, match="no load is sent to 192.0.2.1"):
            run.target(status)


def test_load_goes_to_another_port_of_the_rehearsals_hosts_when_asked():
    assert run.target(STATUS, ("172.30.99.11", 443)) == Target("tasks.example.com", 443, "172.30.99.11", "ca")
    with pytest.raises(RehearsalError, match="no load is sent to 192.0.2.1"):
        run.target(STATUS, ("192.0.2.1", 443))


def test_styles_keep_their_shares():
    assert Counter(clients.styles(20)) == clients.STYLES
    assert set(clients.styles(5)) >= {"h1 keep-alive", "h2 keep-alive"}


async def served(handle, talk):
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        return await asyncio.wait_for(talk(*await asyncio.open_connection("127.0.0.1", port)), 5)


def test_http1_sends_once_and_tells_that_no_answer_came():
    seen = []

    async def drop(reader, writer):
        seen.append(await reader.read(65536))
        writer.close()

    async def talk(reader, writer):
        with pytest.raises(Lost, match="closed without an answer"):
            await http1.Connection(TARGET, reader, writer).send(POST, close=False)

    asyncio.run(served(drop, talk))
    assert len(seen) == 1 and seen[0].startswith(b"POST /topics HTTP/1.1\r\n") and seen[0].endswith(b'{"id": "a-1"}')


def test_http1_uses_a_connection_again():
    async def serve(reader, writer):
        for number in (b"1", b"2"):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n" + number)
        writer.close()

    async def talk(reader, writer):
        connection = http1.Connection(TARGET, reader, writer)
        answers = [await connection.send(GET, close=False) for _ in range(2)]
        await asyncio.sleep(0.05)
        return answers, connection.usable

    assert asyncio.run(served(serve, talk)) == ([Answer(200, b"1"), Answer(200, b"2")], False)


def test_http2_a_goaway_loses_what_was_not_taken_and_nothing_else():
    taken = []

    async def serve(reader, writer):
        machine = H2Connection(H2Configuration(client_side=False))
        machine.initiate_connection()
        ended = 0
        while ended < 2:
            for event in machine.receive_data(await reader.read(65536)):
                taken.extend([event.stream_id] if isinstance(event, RequestReceived) else [])
                ended += isinstance(event, StreamEnded)
            writer.write(machine.data_to_send())
        # As nginx does at a reload: the first was taken and is answered after GOAWAY, the second was not.
        writer.write(b"\0\0\x08\x07\0\0\0\0\0" + (1).to_bytes(4, "big") + bytes(4))
        machine.send_headers(1, [(":status", "200")])
        machine.send_data(1, b"late", end_stream=True)
        writer.write(machine.data_to_send())
        writer.close()

    async def talk(reader, writer):
        connection = http2.Connection(TARGET, reader, writer)
        found = await asyncio.gather(connection.send(POST), connection.send(POST), return_exceptions=True)
        usable = connection.usable
        await connection.close()
        return found, usable

    (first, second), usable = asyncio.run(served(serve, talk))
    assert first == Answer(200, b"late") and not usable
    assert isinstance(second, Lost) and "not taken" in str(second)
    assert taken == [1, 3]


def test_an_upload_that_arrived_short_is_a_failure():
    upload = mix.item(mix.Request("u", "POST", "/u", 200, upload=mix.Upload(100, 1)), "")
    assert clients.judge(upload, Answer(200, b'{"size": 100}')) == ""
    assert clients.judge(upload, Answer(200, b'{"size": 90}')).startswith("100 bytes sent")
    assert clients.judge(POST, Answer(502, b"bad")) == "status 502 instead of 201: bad"


def test_failures_between_two_times():
    rows = [sent(100, 10, error="x"), sent(101, 1500, error="x"), sent(103), sent(110, error="x")]
    assert series.failures(rows, 102, 104) == [rows[1]]
    assert len(series.failures(rows)) == 3


def test_latency_at_rest_and_during_switches():
    rest = [sent(t, 10) for t in range(100, 200)]
    switch = [sent(300.5, 14), sent(301, 14), sent(301, 9000, slow=True)]
    found = series.compare([*rest, *switch], [(300, 301)])
    assert (found["rest"]["p99"], found["switch"]["p99"], found["p99_ratio"]) == (10, 14, 1.4)
    assert (found["rest"]["sent"], found["switch"]["sent"]) == (100, 3)


def test_totals_group_failures_with_their_first_examples():
    rows = [sent(status=502, error=f"status 502 instead of 200: page {n}") for n in range(5)] + [sent(id="a", slot="b")]
    found = series.totals(rows)
    assert (found["sent"], found["failed"], found["by_slot"]) == (6, 5, {"b": 1})
    ((name, group),) = found["failures"].items()
    assert name == "status 502 instead of 200 | h1 keep-alive GET"
    assert group["count"] == 5 and len(group["first"]) == 3


def test_a_series_is_read_as_it_was_written(tmp_path):
    file = tmp_path / "x.tsv"
    head = "\t".join(Sent.__dataclass_fields__)
    file.write_text(f"{head}\n101.0\t2.5\th1 closing\tn\tPOST\tTrue\t201\t\tid-1\tblue\n")
    assert series.read(file) == [
        sent(101, 2.5, style="h1 closing", method="POST", slow=True, status=201, id="id-1", slot="blue")
    ]


def test_rows_each_answered_id_once_and_a_failed_one_at_most_once():
    rows = [sent(id="a"), sent(id="b"), sent(id="c", error="x"), sent(id="d", error="x"), sent()]
    good = count.judge(rows, {"a": 1, "b": 1, "c": 1})
    assert good["ok"] and good["answered"] == 2 and good["written_though_failed"] == 1
    bad = count.judge(rows, {"a": 2, "z": 1})
    assert not bad["ok"]
    assert [bad[part]["first"] for part in ("lost", "twice", "unknown")] == [["b"], ["a"], ["z"]]


def session(**changes) -> Session:
    return Session(**{"socket": 0, "tried": 99, "opened": 100, "closed": 200, "code": 1012, **changes})


def test_sockets_must_hear_of_every_write_while_they_are_open():
    writes = [Write(n, t, t + 0.1, True) for n, t in enumerate((99.5, 110, 150, 199), 1)]
    heard_all = session(received=[2, 3])
    found = heard.judge([heard_all], writes, [(120, 121)])
    assert found["ok"] and found["closes"] == {"1012": 1}
    assert found["events"] == {"expected": 2, "received": 2, "missed": 0, "twice": 0, "over_switch": 1}
    deaf = heard.judge([session(received=[2])], writes)
    assert not deaf["ok"] and deaf["missed"][0]["write"] == 3


@pytest.mark.parametrize("changes", [{"code": 1006}, {"code": 1001}, {"opened": 0.0, "error": "refused"}])
def test_a_close_other_than_1012_or_a_socket_that_does_not_open_is_a_fault(changes):
    assert not heard.judge([session(**changes)], [])["ok"]
