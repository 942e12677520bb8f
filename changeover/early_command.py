"""python -m changeover early SYSTEM NAME: what a chosen user or team sends to meet a release first."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from changeover import early, secrets
from changeover.inventory import InventoryError, plan
from changeover.problems import nearest

INVENTORY = Path("inventories/prod.py")


def add_early(commands: Any) -> None:
    """early SYSTEM NAME: print the header and the cookie of a chosen user or team."""
    parser = commands.add_parser("early", help="print what lets a chosen user or team in at the first weighted steps")
    parser.add_argument("system", metavar="SYSTEM")
    parser.add_argument("name", metavar="NAME", help="of who.teams or who.users in release.steps")
    parser.add_argument(
        "--inventory", type=Path, default=INVENTORY, metavar="FILE", help=f"whose secret signs it (default {INVENTORY})"
    )
    parser.set_defaults(run=run_early)


def run_early(options: argparse.Namespace) -> int:
    """Print it, on standard output only: it is as good as the name. Returns the exit code. Raises InventoryError."""
    found = plan(options.inventory)
    if options.system not in found.systems:
        raise InventoryError(f"no system {options.system}{nearest(options.system, found.systems)}")
    system = found.systems[options.system]
    if options.name not in early.chosen(system):
        hint = nearest(options.name, early.chosen(system))
        raise InventoryError(f"no step of {options.system}.release.steps chooses {options.name}{hint}")
    source = secrets.of(found)
    if problems := source.problems([(options.system, str(system.release.early_secret))]) or early.weak(found, source):
        raise InventoryError(problems[0])
    value = early.values(found, options.system, source)[options.name]
    cookie = f"{early.cookie(options.system)}={value}"
    ends = "; path=/; max-age=2592000; samesite=lax" + ("; secure" if system.tls else "")
    print(f"header   {early.HEADER}: {value}")
    print(f"cookie   {cookie}")
    print(f"browser  on the system's page, in the console of its developer tools: document.cookie = '{cookie}{ends}'")
    return 0
