"""What sources of gates answer, as numbers: the prober's samples, HTTP, printed lines, Prometheus. Pure.

Each gives the number, or None where there was nothing to measure; ReadingError where the answer is no answer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import quantiles
from typing import Any

from changeover.gates import worst
from changeover.probe import OPENED, SOCKET, Sample
from changeover.settings_gates import LATENCIES, Gate, Source

MOST, TAIL = 0.6, 0.9  # the share of pairs that tells; the share of answers below the slowest tenth
LATE = "no answer within"  # changeover/probing.py's word
LONGEST = 200  # characters of an answer that a message quotes


class ReadingError(ValueError):
    """An answer that is no number: what it was instead."""


def of_samples(source: Source, samples: Iterable[Sample]) -> tuple[float | None, int]:
    """A figure of the prober's requests, and how many there were. Arguments: which figure of which; its samples."""
    found = [one for one in samples if _meant(source, one)]
    if source.probe in LATENCIES:
        # One that nobody waited for took that long at least: left out, the slowest would make a release look quick.
        return percentile(str(source.probe), [one.ms for one in found if not one.error or LATE in one.error])
    bad = [one for one in found if (one.error if source.probe == "failed" else (one.status or 0) >= 500)]
    return (100 * len(bad) / len(found) if found else None), len(found)


def _meant(source: Source, sample: Sample) -> bool:
    if source.method == "WS":
        return sample.kind in (SOCKET, OPENED)
    right = sample.kind not in (SOCKET, OPENED) and source.method in (None, sample.method)
    return right and source.path in (None, sample.path)


def percentile(which: str, times: Sequence[float]) -> tuple[float | None, int]:
    """p50, p95 or p99 of some times, and how many they were."""
    if len(times) < 2:
        return (times[0] if times else None), len(times)
    return quantiles(times, n=100, method="inclusive")[int(which[1:]) - 1], len(times)


def whole(times: Mapping[Any, Sequence[float | None]], rounds: int) -> dict[Any, list[float | None]]:
    """The times of one slot in one look, with what was not asked any more as it would have been answered: as the rest.

    A slot that uses up its time is asked less often; left out, that would make the slowest one look like few requests.
    Arguments: path -> ms of each answer, None for one that failed; how often each was to be asked.
    """
    told = [one for some in times.values() for one in some if one is not None]
    mean = sum(told) / len(told) if told else None
    return {path: [*some, *[mean] * (rounds - len(some))] for path, some in times.items()}


def slower(ratio: float, pairs: Sequence[tuple[float, float]]) -> bool:
    """Whether the new slot is clearly slower than `ratio` times the old one, and not by chance.

    Two p95 of a few dozen requests each differ twofold by chance alone, once in twenty releases on a busy machine.
    What a busy machine does not do is to make most answers of one slot slower than those that the other one gave at
    the same moment, or a tenth of them slower by far than the slowest (docs/decisions.md, 64). Argument: (new, old) ms.
    """
    if not pairs:
        return False
    beyond = sum(new > ratio * old for new, old in pairs)
    slow, slowest = sorted(new for new, _ in pairs)[int(len(pairs) * TAIL)], max(old for _, old in pairs)
    return beyond > MOST * len(pairs) or slow > (ratio + 1) * slowest


def of_lines(lines: Sequence[str]) -> float | None:
    """The number that a command or a query printed; nothing printed (SQL's null) is None."""
    said = [line.strip() for line in lines if line.strip()]
    if not said:
        return None
    if len(said) > 1:
        raise ReadingError(f"printed {len(said)} lines instead of a number: {_cut(said[0])}")
    return _number(said[0])


def of_answer(source: Source, answer: Mapping[str, Any]) -> float | None:
    """What `take` wants of an HTTP answer. Arguments: the source; what operations/on_host/asks.py says of it."""
    if "ms" not in answer:
        raise ReadingError(_cut(str(answer.get("error", f"no answer within {answer.get('late', 0) / 1000:.1f} s"))))
    if source.take == "ms":
        value: Any = answer["ms"]
    elif source.take == "status":
        value = answer["status"]
    else:
        value = _inside(str(answer.get("body", "")), source.take)
    if source.equals is not None:
        return float(isinstance(value, bool) == isinstance(source.equals, bool) and value == source.equals)
    return None if value is None else _number(value)


def _inside(body: str, path: str) -> Any:
    """The value at $.a.0.b of a JSON text; None where there is none."""
    try:
        found = json.loads(body)
    except ValueError:
        raise ReadingError(f"the answer is no JSON: {_cut(body)}") from None
    for key in path.split(".")[1:]:
        if isinstance(found, list) and key.isdigit():
            found = found[int(key)] if int(key) < len(found) else None
        else:
            found = found.get(key) if isinstance(found, dict) else None
    return found


def of_prometheus(gate: Gate, body: str) -> float | None:
    """The number in an answer of Prometheus' HTTP API to an instant query; the worst of several; NaN is nothing.

    Source: Prometheus, "HTTP API", "Instant queries" and "Expression query result formats".
    """
    try:
        said = json.loads(body)
        if said["status"] != "success":
            raise ReadingError(_cut(f"{said.get('errorType')}: {said.get('error')}"))
        kind, result = said["data"]["resultType"], said["data"]["result"]
        pairs = [result] if kind == "scalar" else [one["value"] for one in result]
        values = [float(value) for _, value in pairs]
    except ReadingError:
        raise
    except (ValueError, KeyError, TypeError):
        raise ReadingError(f"this is no answer of Prometheus to an instant query: {_cut(body)}") from None
    if any(map(math.isinf, values)):
        raise ReadingError("is infinite: the query divides by nothing")
    return worst(gate, [value for value in values if not math.isnan(value)])


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ReadingError(f"is no number: {_cut(str(value))}") from None


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
