"""Builds the one file that the deploy installs as /usr/local/bin/changeover: equal sources give equal bytes."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
SHEBANG = b"#!/usr/bin/python3 -I\n"  # -I: nothing of the caller's environment or folder is imported
# A peer's request is on the way of every switch: it does not wait for the command line's modules.
MAIN = """import sys

if sys.argv[1:] == ["peer"]:
    from hostcmd.peer import main
else:
    from hostcmd.cli import main

sys.exit(main(sys.argv[1:]))
"""
EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest date that a zip file can say


def archive() -> bytes:
    """The whole file's bytes.

    Not zipapp.create_archive: that writes the files' times into it. Stored, not packed: zlib's output differs
    between versions, and an unpacked one starts faster.
    """
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as zipped:
        _add(zipped, "__main__.py", MAIN)
        for path in sorted(HERE.glob("*.py")):
            if path.name != "build.py":
                _add(zipped, f"hostcmd/{path.name}", path.read_text(encoding="utf-8"))
    return SHEBANG + out.getvalue()


def _add(zipped: zipfile.ZipFile, name: str, text: str) -> None:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.external_attr = 0o644 << 16
    entry.create_system = 3  # Unix, wherever it is built
    zipped.writestr(entry, text)


def main(words: list[str]) -> int:
    """Writes the file. Arguments: the command line's words, one path."""
    if len(words) != 1:
        print("usage: python -m hostcmd.build PATH", file=sys.stderr)
        return 2
    target = Path(words[0])
    target.write_bytes(archive())
    target.chmod(0o755)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
