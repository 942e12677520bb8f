"""The report page: its sentences, its promises (self-contained, escaped, small, quick), its command."""

import re
import time
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from changeover import __main__ as command_line
from changeover import record as records
from changeover import report
from changeover.record import Check, Gate, GateSample, Probe, Step, WayBack
from tests.records import HOSTS, START, by_steps, failed, fifty, made, rebuilt, release, released, walk, went_back


class Page(HTMLParser):
    """The page's tags, with every address that it would load from."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.stack, self.addresses, self.headings, self.ids, self.refers = [], [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append(tag)
        self.addresses += [values[key] for key in ("src", "href", "action", "srcset") if key in values]
        self.ids += [values["id"]] if "id" in values else []
        self.refers += values.get("aria-labelledby", "").split()
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in ("meta", "link", "br"):
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag


FIRST, NEXT, AGAIN = released(None, "1.0"), released("1.0", "1.1"), released("1.0", "1.0")
NOTES, AFTER = released("2", "3", "notes"), "after 4 m 31 s"


@pytest.mark.parametrize(
    "outcome, systems, changed, what, took",
    [
        ("ok", [FIRST], 3, "tasktracker 1.0 was installed", "in 4 m 31 s"),
        ("ok", [NEXT], 0, "tasktracker went from 1.0 to 1.1", "in 4 m 31 s"),
        ("ok", [AGAIN], 3, "tasktracker 1.0 was deployed again", "in 4 m 31 s"),
        ("ok", [AGAIN], 0, "tasktracker 1.0 was deployed again", "in 4 m 31 s; nothing changed"),
        ("ok", [FIRST, NOTES], 3, "tasktracker 1.0 was installed and notes went from 2 to 3", "in 4 m 31 s"),
        ("rolled_back", [NEXT], 3, "tasktracker went back from 1.1 to 1.0", AFTER),
        ("rolled_back", [FIRST], 3, "The installation of tasktracker 1.0 was undone", AFTER),
        ("needs_person", [AGAIN], 0, "The deploy of tasktracker 1.0 stopped and needs a person", AFTER),
        ("interrupted", [FIRST], 0, "The installation of tasktracker 1.0 was interrupted", AFTER),
    ],
)
def test_headline(outcome, systems, changed, what, took):
    record = made(outcome=outcome, systems=systems, changes={"app1": changed, "app2": 0})
    assert report.headline(record) == f"{what} on 2 hosts of staging, by dana@laptop, {took}."


def test_headline_of_a_refusal():
    refused = made(outcome="refused", systems=[NEXT], changes={})
    what = "The release of tasktracker 1.1 (from 1.0) was refused in staging"
    assert report.headline(refused) == f"{what}, by dana@laptop, after 4 m 31 s; nothing changed."


def test_headline_of_a_failure_names_the_hosts():
    few = "failed on app2, 1 of 5 hosts of staging, by dana@laptop, after 3 m 28 s."
    assert report.headline(failed()) == f"The release of tasktracker 1.1.0 (from 1.0.0) {few}"
    many = [step.model_copy(update={"outcome": "failed"}) for step in walk(HOSTS)]
    assert " failed on 5 of 5 hosts of staging, by " in report.headline(made(outcome="failed", steps=many))


@pytest.mark.parametrize(
    "value, text",
    [(0, "0.0 s"), (0.44, "0.4 s"), (9.96, "10 s"), (59.7, "1 m"), (271, "4 m 31 s"), (3780, "1 h 03 m")],
)
def test_duration(value, text):
    assert report.duration(value) == text


def test_hostile_text_stays_text():
    page = report.render(failed())
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &#34;more&#34;" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\nhealth: 503" in page
    assert "script" not in Page(page).tags


def test_hostile_names_stay_text_everywhere():
    evil = '"><img src=x onerror=alert(1)>'
    step = Step(name=evil, phase=evil, host=evil, start=START, end=START, outcome="failed", detail=evil)
    page = report.render(
        made(
            id=evil,
            txn=evil,
            environment=evil,
            actor=evil,
            systems=[released(evil, evil, evil)],
            changes={evil + "2": 1},
            steps=[step],
            gates=[Gate(name=evil, verdict="fail")],
            checklist=[Check(item=evil, source=evil, verdict="fail", evidence=evil)],
            probe=Probe(file=evil, sent=1, failed=1),
            way_back=WayBack(kind="code", command=evil, loses=evil),
        )
    )
    assert "<img" not in page
    assert "img" not in Page(page).tags


PAGES = {
    "bare": made(),
    "ok": made(steps=walk(HOSTS)),
    "failed": failed(),
    "release": release(),
    "went back": went_back(),
    "by steps": by_steps(),
    "rebuilt": rebuilt(),
    "fifty": fifty(),
}


@pytest.mark.parametrize("record", PAGES.values(), ids=PAGES)
def test_page_is_whole_self_contained_and_outlined(record):
    page = Page(report.render(record))
    assert page.stack == []
    assert page.addresses[0] == "data:,"
    assert {address[1:] for address in page.addresses[1:] if address.startswith("#")} <= set(page.ids)
    assert [address for address in page.addresses[1:] if not address.startswith("#")] == []
    assert "script" not in page.tags
    assert {"header", "main", "footer", "h1"} <= set(page.tags)
    assert page.headings.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(page.headings, page.headings[1:], strict=False))
    assert len(page.ids) == len(set(page.ids))
    assert set(page.refers) <= set(page.ids)
    assert page.tags.count("table") == page.tags.count("caption")


def test_failure_says_where_why_and_next():
    page = report.render(failed())
    assert "<title>failed: tasktracker 1.1.0, staging</title>" in page
    assert "nats: connection refused" in page
    assert "<code>ssh app2 &#39;docker logs --tail 50 tasktracker-api-green&#39;</code>" in page
    assert "<b>api: step 4</b> on <b>app2</b> in api, 3 m 08 s into the run" in page
    assert "<code>changeover rollback tasktracker</code>" in page
    assert "Takes back the code only. Loses: nothing." in page
    assert page.count("<details open>") == 1


def test_sections_appear_only_with_data():
    bare = report.render(made())
    titles = ("What went wrong", "Timeline", "Steps by phase", "Gates", "Checklist", "Requests during")
    assert [title for title in titles if title in bare] == []
    assert "None: this was the first installation" in bare
    assert '<th scope="row">data1</th><td>12</td>' in bare
    full = report.render(
        made(
            gates=[
                Gate(name="api_p95", verdict="no_data", samples=[GateSample(t=START, value=None, verdict="no_data")])
            ],
            checklist=[Check(item="backup restored", source="S1", verdict="pass", evidence="9 tables")],
            probe=Probe(file="probe.jsonl", sent=31204, failed=0),
        )
    )
    assert re.search(r'<th scope="row">api_p95</th><td data-label="Verdict"><span [^>]*>.*no data</span></td>', full)
    assert re.search(r'<th scope="row">backup restored</th>.*pass</span></td><td [^>]*>9 tables', full)
    assert "0 of 31,204 requests failed." in full


def test_hosts_that_went_the_same_way_share_a_row():
    def step(host, outcome, length, detail=""):
        end = START + timedelta(seconds=length)
        return Step(name="up", phase="api", host=host, start=START, end=end, outcome=outcome, detail=detail)

    same = [step("app1", "ok", 2), step("app2", "ok", 5)]
    mixed = [*same, step("app3", "changed", 1)]
    (whole,) = report.groups(same, made())
    assert (whole.hosts, whole.seconds, whole.slowest) == ("all 2 hosts", 5, "app2")
    parts = report.groups(mixed, made())
    assert [(row.hosts, row.kind) for row in parts] == [("app1, app2", "ok"), ("app3", "changed")]


def test_failed_hosts_come_first_and_cells_count_by_phase():
    rows = report.rows(failed(), "host", ["preflight", "api"])
    assert [row.name for row in rows] == ["app2", "edge1", "app1", "data1", "ops1"]
    assert rows[0].cells == [[("changed", 1)], [("failed", 1), ("undone", 1)]]
    assert rows[-1].cells == [[("ok", 4)], [("ok", 4)]]


def test_a_clock_that_jumps_back_still_gives_a_page():
    earlier = START - timedelta(hours=1)
    step = Step(name="up", phase="api", host="app1", start=START, end=earlier, outcome="ok")
    record = made(started=START, ended=earlier, steps=[step])
    assert report.bars([step], record) == [report.Bar(0.0, 0.0, "ok")]
    assert "in 0.0 s." in report.render(record)


def test_neighbours_of_one_kind_are_one_bar():
    def step(begin, end, outcome):
        times = dict(start=START + timedelta(seconds=begin), end=START + timedelta(seconds=end))
        return Step(name="s", host="app1", outcome=outcome, **times)

    record = made(ended=START + timedelta(seconds=100))
    steps = [step(0, 10, "ok"), step(10.1, 20, "ok"), step(20, 30, "changed"), step(50, 60, "changed")]
    assert report.bars(steps, record) == [
        report.Bar(0, 20, "ok"),
        report.Bar(20, 10, "changed"),
        report.Bar(50, 10, "changed"),
    ]


def test_fifty_hosts_of_sixty_steps_are_small_and_quick():
    record = fifty()
    assert len(record.steps) == 3000
    begun = time.process_time()
    page = report.render(record)
    assert time.process_time() - begun < 1
    assert len(page.encode()) < 2_000_000
    assert page.count("container recreated") == 3000
    assert "<summary>50 hosts without a failed step</summary>" in page


def test_command_makes_the_page_anew(tmp_path, capsys):
    page = report.publish(failed(), tmp_path)
    assert page == tmp_path / "20261121T140322Z-1.1.0" / "index.html"
    assert (tmp_path / "latest").resolve() == page.parent
    expected = page.read_text()
    page.unlink()
    assert command_line.main(["report", str(tmp_path / "latest")]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/latest/index.html\n"
    assert page.read_text() == expected == report.render(failed())
    assert command_line.main(["report", str(page.with_name("record.json"))]) == 0
    assert sorted(path.name for path in page.parent.iterdir()) == ["index.html", "record.json"]


def test_latest_moves_on(tmp_path):
    report.publish(made(), tmp_path)
    report.publish(failed(), tmp_path)
    assert records.read(tmp_path / "latest") == failed()
    assert len(list(tmp_path.iterdir())) == 3


def test_command_says_what_is_missing_in_one_line(tmp_path, capsys):
    assert command_line.main(["report", str(tmp_path)]) == 1
    where = f"error  {tmp_path}/record.json: No such file or directory"
    assert capsys.readouterr().err == f"{where}; name a directory that a deploy wrote: ls reports\n"
