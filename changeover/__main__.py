"""The command line of the core: python -m changeover report. A sub-command is a function in COMMANDS."""

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from changeover import example, record, reference, report
from changeover.early_command import add_early
from changeover.inventory import InventoryError
from changeover.problems import SettingsError

Commands = Any  # what add_subparsers() returns; argparse has no public name for it


def add_report(commands: Commands) -> None:
    """report [DIR]: make index.html anew from record.json. report INVENTORY.py: both, from the hosts' journals."""
    about = "make a report's index.html anew from its record.json; or both from the hosts' journals, when the control"
    parser = commands.add_parser("report", help=f"{about} machine died in a deploy")
    parser.add_argument("directory", nargs="?", type=Path, default=Path("reports/latest"), metavar="DIR|INVENTORY.py")
    parser.add_argument("--system", help="with an inventory: the system (default: its first)")
    parser.add_argument("--run", dest="txn", metavar="RUN", help="with an inventory: the run's id (default: the last)")
    parser.add_argument("--schema", action="store_true", help="print the JSON schema of record.json instead")
    parser.set_defaults(run=run_report)


def run_report(options: argparse.Namespace) -> int:
    """Write the page, or print the schema. Returns the exit code."""
    if options.schema:
        print(record.schema_text(), end="")
        return 0
    if options.directory.suffix == ".py":
        return subprocess.call(rebuild_words(options))
    found = record.read(options.directory)
    print(report.write(found, options.directory if options.directory.is_dir() else options.directory.parent))
    return 0


def rebuild_words(options: argparse.Namespace) -> list[str]:
    """The runbook that asks the hosts, with pyinfra's own SSH."""
    given = {"system": options.system, "txn": options.txn}
    words = [word for name, value in given.items() if value for word in ("--data", f'{name}="{value}"')]
    return [sys.executable, "-m", "pyinfra", str(options.directory), "runbooks/rebuild_report.py", "-y", *words]


def add_settings(commands: Commands) -> None:
    """settings: print docs/settings.md."""
    parser = commands.add_parser("settings", help="print the reference of all settings, as docs/settings.md holds it")
    parser.set_defaults(run=lambda options: print(reference.page(), end="") or 0)


def add_example(commands: Commands) -> None:
    """example: print docs/every_key.py."""
    parser = commands.add_parser("example", help="print an example that holds every key, as docs/every_key.py does")
    parser.set_defaults(run=lambda options: print(example.page(), end="") or 0)


COMMANDS: tuple[Callable[[Commands], None], ...] = (add_report, add_settings, add_example, add_early)


def main(arguments: list[str] | None = None) -> int:
    """Run one sub-command. Returns its exit code: 0 done, 1 refused with one line on stderr, 2 usage."""
    parser = argparse.ArgumentParser("python -m changeover", description="Changeover on the control machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    for add in COMMANDS:
        add(commands)
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except (record.RecordError, InventoryError) as error:
        print(f"error  {error}", file=sys.stderr)
    except SettingsError as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"error  {error.filename}: {error.strerror}; make it writable, then run again", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
