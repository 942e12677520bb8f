"""The prober: a light client that asks the gateway all the time while a deploy switches, and writes down each answer.

It runs as a process of its own (pyinfra patches the sockets of its own process), never sends a request twice, and ends
by itself: after its time, on SIGTERM, or when the deploy that started it dies. By hand, with the fields of Config:
python -m changeover.probe CONFIG.json OUT.jsonl
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from statistics import quantiles
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, IPvAnyAddress, ValidationError, field_validator

UP = 20.0  # seconds until the first answer, or failure, must be written down
END = 15.0  # seconds, beside the time limit of a request, to end after SIGTERM
EXAMPLES = 3
SOCKET, OPENED = "ws", "ws new"  # the one that is kept open; those that are opened again and again
RESTART = 1012  # a WebSocket's close that asks the client to come back; any other is a failure


class ProbeError(Exception):
    """The prober could not run: what, why, the next command."""


class Request(BaseModel):
    """One request: each `{id}` in the values of `json` becomes an id that is never used again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Literal["GET", "HEAD", "POST", "PUT"] = "GET"
    path: Annotated[str, Field(pattern=r"^/\S*$")]
    body: Annotated[Any, Field(alias="json")] = None
    headers: dict[str, str] = {}
    expect: int = 200


class Config(BaseModel):
    """What is probed. Times in seconds, `rate` in requests a second over all kinds; `address` is connected to instead
    of the name's own; each `open_every` a WebSocket is opened and closed. `slot_key` and `release_key` name the header,
    or the field of a JSON answer, that tells them. `clients`, {name: headers}: as whom it asks in turn; sockets as the
    first of them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: str
    address: IPvAnyAddress | None = None
    ca: str | None = None
    requests: Annotated[list[Request], Field(min_length=1)]
    websocket: Annotated[str, Field(pattern=r"^/\S*$")] | None = None
    open_every: Annotated[float, Field(gt=0)] = 3600.0
    seconds: Annotated[float, Field(gt=0, le=7 * 86400)]
    rate: Annotated[float, Field(gt=0, le=50)] = 10.0
    timeout: Annotated[float, Field(gt=0, le=60)] = 5.0
    slot_key: str = "slot"
    release_key: str = "release"
    clients: dict[str, dict[str, str]] = {}

    @field_validator("base_url")
    @classmethod
    def _a_base(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError("wanted: https://NAME or https://NAME:PORT, without a path")
        return url.rstrip("/")


@dataclass(frozen=True, slots=True)
class Sample:
    """One request: when it was sent (UTC), how, how long it took (ms), and what came of it.

    `kind`: h1, h2 (kept connections), h1 close, h2 close (a new connection each), ws. A ws sample is the opening of the
    socket (status 101) or its close (status is the close code). `ws new` is a socket that was opened for a moment.
    `client`: as whom it was sent, where weighted steps are declared; sockets are the first client's.
    """

    t: str
    kind: str
    method: str
    path: str
    ms: float
    status: int | None = None
    error: str | None = None
    slot: str | None = None
    release: str | None = None
    client: str | None = None

    def line(self) -> str:
        """As it stands in the file; what is not known is left out."""
        return json.dumps({key: value for key, value in asdict(self).items() if value is not None})


def read(path: Path) -> list[Sample]:
    """The samples of a file; a last line that was cut off, and the summary, are left out. Raises OSError."""
    return samples(path.read_text())


def samples(text: str) -> list[Sample]:
    """The samples in some lines of such a file. Pure."""
    kept = []
    for line in text.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if "t" in found:
            kept.append(Sample(**found))
    return kept


class Tail:
    """The samples of a file that still grows, each given once; a line that is half-way waits for its end."""

    def __init__(self, file: Path, at: int = 0) -> None:
        """Arguments: the file; the byte that is read first."""
        self._file, self._at = file, at

    def new(self) -> list[Sample]:
        """What was written since the last time. Raises OSError."""
        with self._file.open("rb") as file:
            file.seek(self._at)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._at += len(whole)
        return samples(whole.decode())


def between(samples: Iterable[Sample], since: datetime, until: datetime) -> list[Sample]:
    """Samples that were sent between two times (aware). Pure."""
    return [sample for sample in samples if since <= datetime.fromisoformat(sample.t) <= until]


def summary(samples: Iterable[Sample]) -> dict[str, Any]:
    """Counts, latencies in ms (answered requests, no sockets), failures, and when each slot answered. Pure."""
    samples = sorted(samples, key=lambda sample: sample.t)
    kinds: dict[str, list[Sample]] = defaultdict(list)
    slots: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        kinds[sample.kind].append(sample)
        if sample.slot:
            slots[sample.slot].append(sample)
    return {
        **_figures(samples),
        "since": samples[0].t if samples else None,
        "until": samples[-1].t if samples else None,
        "by_kind": {kind: _figures(group) for kind, group in sorted(kinds.items())},
        "by_slot": {
            slot: {"sent": len(group), "first": group[0].t, "last": group[-1].t}
            for slot, group in sorted(slots.items())
        },
        "first_failures": [asdict(sample) for sample in samples if sample.error][:EXAMPLES],
    }


def _figures(samples: Sequence[Sample]) -> dict[str, Any]:
    times = [sample.ms for sample in samples if not sample.error and sample.kind not in (SOCKET, OPENED)]
    cuts = quantiles(times * 2 if len(times) == 1 else times, n=100, method="inclusive") if times else None
    p = {f"p{at}": round(cuts[at - 1], 1) if cuts else None for at in (50, 95, 99)}
    return {"sent": len(samples), "failed": sum(bool(sample.error) for sample in samples), **p}


class Prober:
    """A prober that runs beside a deploy."""

    def __init__(self, config: Config, out: Path) -> None:
        self.config, self.out = config, out
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it and waits for its first answer (or failure). Raises ProbeError."""
        self.out.unlink(missing_ok=True)
        words = [sys.executable, "-m", "changeover.probe", "-", str(self.out)]
        pipes: dict[str, Any] = dict(stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self._process = subprocess.Popen(words, cwd=Path(__file__).parent.parent, **pipes)
        assert self._process.stdin
        # Over standard input: headers may hold a token, and its end tells the prober that this process is gone.
        self._process.stdin.write(self.config.model_dump_json(by_alias=True).encode() + b"\n")
        self._process.stdin.flush()
        end = time.monotonic() + UP
        while not (self.out.exists() and self.out.stat().st_size):
            if self._process.poll() is not None or time.monotonic() > end:
                self._process.kill()
                why = self._process.communicate()[1].decode(errors="replace").strip()[-500:]
                raise ProbeError(f"{self.config.base_url}: the prober did not start: {why}; see {self.out}")
            time.sleep(0.1)

    @property
    def running(self) -> bool:
        """Whether it still asks."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> dict[str, Any]:
        """Ends it, when it still runs, and gives the summary of its file. Raises ProbeError, OSError."""
        if self._process is None:
            raise ProbeError("the prober was not started; call start() first")
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.communicate(timeout=END + self.config.timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()  # what it wrote is whole up to here
            self._process.communicate()
        return summary(read(self.out))


def load(text: str, where: str) -> Config:
    """A configuration from JSON. Raises ProbeError with the path of what is wrong."""
    try:
        return Config.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(map(str, first["loc"])) or "the file"
        raise ProbeError(f"{where}: {path}: {first['msg']}; mend it, then run again") from None


def main(words: Sequence[str]) -> int:
    """CONFIG.json (or - for one line of standard input, whose end then ends the prober) and OUT.jsonl.

    Prints the summary. Returns 0, also when requests failed: judging is the caller's; 1 when it could not run, 2 usage.
    """
    from changeover import probing  # late: whoever only starts one or reads its file needs no HTTP client

    if len(words) != 2:
        print("usage: python -m changeover.probe CONFIG.json OUT.jsonl", file=sys.stderr)
        return 2
    source, out = words
    try:
        text = probing.first_line() if source == "-" else Path(source).read_text()
        found = probing.run(load(text, source), Path(out), with_parent=source == "-")
    except ProbeError as error:
        print(f"error  {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error  {error.filename}: {error.strerror}; mend it, then run again", file=sys.stderr)
        return 1
    print(json.dumps({"summary": found}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
