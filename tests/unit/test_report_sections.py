"""The page's sections: what changed, the way back, what was seen of it; what the record holds, and no more."""

import json
import re
from datetime import timedelta

from changeover import record as records
from changeover import report
from changeover.record_changes import Setting
from tests.records import START, by_steps, made, release, went_back


def test_the_way_back_says_until_when_it_is_quick():
    page = report.render(release())
    assert "Takes about 1 s while the slot before is warm, then about 12 s." in page
    assert 'warm until <time datetime="2026-11-21T14:37:44+00:00">14:37:44</time> UTC' in page
    overnight = release().way_back.model_copy(update={"warm_until": START + timedelta(days=1)})
    assert ">22 Nov 14:03:22</time> UTC" in report.render(release(way_back=overnight))
    assert "It has gone back already: 1.0.0 serves as before." in report.render(went_back())


def test_what_changed_is_told_to_the_byte_and_no_more():
    page = report.render(release())
    assert "<td>0001 to 0002</td>" in page
    assert re.search(
        r'<th scope="row">api</th><td [^>]*><code>environment.LOG_LEVEL</code></td>.*INFO</td>.*DEBUG</td>', page
    )
    assert "hello: no setting of its containers or of the host command differs from what 1.26 ran with." in page
    for digest in ("2c034cc6a153abc5", "e98fa760f6f83da3"):
        assert f"@sha256:{digest * 4}" in page
    many = [Setting(where="api", key=f"k{number}", before="", after="1") for number in range(300)]
    system = release().systems[0].model_copy(update={"settings": many, "settings_unknown": "app1: perhaps more"})
    page = report.render(release(systems=[system]))
    assert "<code>k199</code>" in page and "<code>k200</code>" not in page and "100 more are in record.json" in page
    assert "tasktracker: app1: perhaps more" in page
    assert "Settings of" not in report.render(made()) and "differs from what" not in report.render(made())


def test_the_headline_counts_the_probes_and_names_what_moved():
    assert report.headline(release()).endswith(", in 4 m 31 s; 0 of 880 probed requests failed.")
    assert report.headline(went_back()).startswith(
        "tasktracker went back from 1.1.0 to 1.0.0 on 5 hosts of staging, by"
    )


def test_moves_gates_and_failures_are_on_the_page():
    page = report.render(went_back())
    assert '<b>back to 1.0.0</b> <span class="muted">14:07:30 UTC, took 4.4 s</span>' in page
    assert re.search(r'no_5xx</th>.*fail</span></td><td [^>]*>4.1 %</td><td [^>]*>&lt; 1 %</td>', page)
    assert "status 500 instead of 201" in page
    assert "At most 55 s from the first bad answer until it is back." in page
    assert page.index("Requests during the run") < page.index("Gates</h2>") < page.index("Checklist</h2>")
    assert "of 10 s; first at 14:07:00, all on green" in page


def test_the_steps_divide_what_the_prober_saw():
    page = report.render(by_steps())
    assert '<b>5 % of the clients to 1.1.0</b> <span class="muted">14:06:32 UTC, took 1.4 s</span>' in page
    assert re.findall(r'<th scope="row">((?:before|from) [^<]*)</th>', page) == [
        "before 5 % of the clients to 1.1.0",
        "from 5 % of the clients to 1.1.0 on",
        "from 25 % of the clients to 1.1.0 on",
        "from back to 5 % of the clients on",
    ]


def test_a_record_of_before_still_gives_its_page(tmp_path):
    """Without what newer ones hold: series, moments, settings."""
    old = json.loads(release().model_dump_json())
    for key in ("moments", "rebuilt"):
        old.pop(key)
    for key in ("series", "spans", "failures", "width", "system"):
        old["probe"].pop(key)
    for key in ("migration", "settings", "settings_unknown", "images_before"):
        old["systems"][0].pop(key)
    (tmp_path / "record.json").write_text(json.dumps(old))
    page = report.render(records.read(tmp_path))
    assert "0 of 880 requests failed" in page and "<svg viewBox" not in page
