"""The command line: verbs, options, and a help with examples for each."""

from __future__ import annotations

import argparse
import re
from functools import cache

from hostcmd import VERSION
from hostcmd.stop import MEANING

UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
EXITS = "exit codes: " + "; ".join(f"{code} {text}" for code, text in MEANING.items())
READING = ("status", "history", "audit", "logs")
# verb -> (what it does, examples without "changeover VERB SYSTEM")
VERBS = {
    "status": ("what is live, on which hosts, and the way back", ["", "--json", "--quick --json"]),
    "stage": (
        "gives the idle slots to a release; traffic is not touched",
        ["--release 1.1.0", "--release 1.1.0 --service api"],
    ),
    "switch": (
        "moves the traffic to the staged release, on all hosts or none; rolling: host by host, recreate: --open first",
        ["--lease 90s --txn T1", "--host app1 --lease 90s --txn T1", "--open --lease 90s --txn T1"],
    ),
    "weight": (
        "a share of the clients goes to the staged release, by the steps of the settings; 100 is the switch",
        ["25 --lease 90s --txn T1", "5 --lease 0   (it stays there, until somebody goes on or back)"],
    ),
    "confirm": ("keeps what was switched to; without it, it goes back by itself", ["--txn T1"]),
    "renew": ("lets the lease of a switch run anew", ["--txn T1", "--txn T1 --lease 90s"]),
    "rollback": (
        "moves the traffic back to the release before, and holds the one that was left",
        ["", '--why "errors in export"'],
    ),
    "drain": ("stops the idle slots; what was staged is dropped", ["", "--now"]),
    "maintenance": (
        "turns the maintenance page on and off at the gateways",
        ['on --why "moving the database" --until 18:00', "off", "status"],
    ),
    "lock": (
        "the lock of a deploy; it expires without a heartbeat",
        ["show", 'acquire --owner T1 --reason "deploy 1.1.0" --ttl 60s', "break"],
    ),
    "history": ("releases that were live, and who changed what", ["", "--json"]),
    "audit": ("every change, each line chained to the one before", ["", "--verify"]),
    "hold": ("refuses a release from now on", ['1.2.0 --why "loses events"']),
    "unhold": ("allows a held release again", ["1.2.0"]),
    "logs": ("the last lines that services wrote, from every host", ["", "api", "api-green -n 50"]),
    "recover": ("finishes or undoes what was interrupted, and tells hosts that were away", ["", "--gateway"]),
}


def seconds(text: str) -> float:
    """A duration in seconds: 90, 90s, 5m, 2h. Raises ValueError, which argparse shows."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d|)", text.strip())
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write 90s or 5m")
    return float(found[1]) * UNITS[found[2]]


def percentage(text: str) -> int:
    """A whole number from 0 to 100. Raises ValueError, which argparse shows."""
    if not re.fullmatch(r"\d{1,3}", text) or int(text) > 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no percentage; write a whole number from 0 to 100")
    return int(text)


@cache
def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="changeover",
        description="Switches a system's release on its hosts, and back. Typed on any host of the system.",
        epilog=EXITS,
    )
    top.add_argument("--version", action="version", version=f"changeover {VERSION}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb, (what, examples) in VERBS.items():
        lines = [f"  changeover {verb} shop {example}".rstrip() for example in examples]
        one = verbs.add_parser(
            verb,
            help=what,
            description=what[0].upper() + what[1:] + ".",
            epilog="examples:\n"
            + "\n".join(lines)
            + "\n\n"
            + EXITS.replace("; ", "\n  ").replace(": ", ":\n  "),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        _options(one, verb)
    verbs.add_parser("peer", help="one request of the coordinator on stdin (used over SSH only)")
    return top


def _options(one: argparse.ArgumentParser, verb: str) -> None:
    one.add_argument("system", metavar="SYSTEM", nargs="?" if verb == "recover" else None)
    one.add_argument("--json", action="store_true", help="one line for a machine")
    if verb not in (*READING, "recover"):
        one.add_argument("--txn", help="name of the transaction; the same one twice is done once")
        one.add_argument("--by", help="who, for the record (default: the user)")
        one.add_argument("--why", "--reason", dest="why", default="", help="for the record")
        one.add_argument("--owner", default="", help="who holds the lock, where it is held")
        one.add_argument("--fence", type=int, help="fencing number of the lock; refused when it is lost")
        one.add_argument("--expect-generation", type=int, metavar="N", help="refused unless N is live")
    add = one.add_argument
    if verb == "status":
        add("--quick", action="store_true", help="only what is written down; no host is asked")
    elif verb == "stage":
        add("--release", required=True)
        add("--service", action="append", default=[], help="only this one (may be repeated)")
        add("--again", action="store_true", help="also where the release is live: same release, new settings")
        add("--as-it-is", action="store_true", help="no wait where the slots have it already and run on as they are")
        add(
            "--image",
            action="append",
            default=[],
            metavar="SERVICE=IMAGE@sha256:DIGEST",
            help="which image the release is of this service, from now on (may be repeated)",
        )
        add("--migrated", metavar="VERSION", help="the database's schema version, to be written down")
    elif verb == "switch":
        add("--release", help="must be the staged one")
        add(
            "--lease",
            type=seconds,
            metavar="TIME",
            help="goes back unless confirmed; 0 for never (default: settings)",
        )
        steps = one.add_mutually_exclusive_group()
        steps.add_argument("--host", help="rolling: one more host serves it; the last one's is the whole switch")
        steps.add_argument("--open", action="store_true", help="recreate: page on, then what it replaces is stopped")
    elif verb == "weight":
        add("percent", type=percentage, metavar="PERCENT", help="0: only chosen users and teams")
        add(
            "--lease",
            type=seconds,
            metavar="TIME",
            help="all go back unless it goes on; 0: it stays there (default: settings)",
        )
    elif verb == "renew":
        add("--lease", type=seconds, metavar="TIME", help="default: as long as before")
    elif verb == "rollback":
        add("--no-hold", action="store_true", help="the release that is left may be deployed again")
    elif verb == "drain":
        add("--now", action="store_true", help="do not wait until requests and sockets had their time")
    elif verb == "maintenance":
        add("action", choices=("on", "off", "status"))
        add("--until", metavar="TEXT", help="shown; nothing turns it off by itself")
    elif verb == "lock":
        add("action", choices=("show", "acquire", "renew", "release", "break"))
        add("--ttl", type=seconds, metavar="TIME", help="expires after this without a renewal (default: 60s)")
    elif verb == "audit":
        add("--verify", action="store_true", help="only whether the chain holds, and its head")
    elif verb in ("hold", "unhold"):
        add("release", metavar="RELEASE")
    elif verb == "logs":
        add("service", metavar="SERVICE", nargs="?")
        add("-n", "--lines", type=int, default=20)
    elif verb == "recover":
        add("--all", action="store_true", help="every system that is set up here (also without SYSTEM)")
        add(
            "--gateway",
            action="store_true",
            help="only which slots this host's gateway serves; before nginx starts",
        )
