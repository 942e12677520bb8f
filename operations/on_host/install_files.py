"""Runs on a host: puts a tree of files into place, all checked first, each renamed into place. Standard library only.

Input on stdin, one JSON object: {"directories": [{path, mode, owner, group}], "files": [{path, mode, owner, group,
content}], "check": null or {"root": folder, "command": words in which {} is a copy of that folder with the new files}}.
Exit 1 and nothing changed when the check fails; its output is printed.
"""

import grp
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time

WRITTEN = "/var/lib/changeover/written"  # paths that we wrote, a line each
NEW = ".changeover-new"


def number(name, lookup):
    return int(name) if name.isdigit() else lookup(name)


def own(handle, entry):
    os.chown(
        handle,
        number(entry["owner"], lambda n: pwd.getpwnam(n).pw_uid),
        number(entry["group"], lambda n: grp.getgrnam(n).gr_gid),
    )
    os.chmod(handle, int(entry["mode"], 8))


def make_directory(entry):
    os.makedirs(entry["path"], mode=0o755, exist_ok=True)
    own(entry["path"], entry)


def write(path, entry):
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(entry["content"])
        file.flush()
        own(file.fileno(), entry)
        os.fsync(file.fileno())


def check(files, root, command):
    """Runs the daemon's own checker on a copy of root with the new files in it."""
    staged = tempfile.mkdtemp(prefix=".changeover-", dir=os.path.dirname(root))
    try:
        copy = os.path.join(staged, "tree")
        if os.path.isdir(root):
            shutil.copytree(root, copy, symlinks=True)
        for entry in files:
            path = os.path.join(copy, os.path.relpath(entry["path"], root))
            if not os.path.relpath(path, copy).startswith(".."):
                os.makedirs(os.path.dirname(path), exist_ok=True)
                write(path, entry)
        words = [word.replace("{}", copy) for word in command]
        run = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        if run.returncode:
            sys.exit(f"refused by {' '.join(command)}; nothing was changed:\n{run.stdout.strip()}")
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def ours():
    """Paths that earlier runs wrote."""
    if not os.path.exists(WRITTEN):
        return set()
    with open(WRITTEN) as file:
        return set(file.read().splitlines())


def keep_foreign(path, written):
    """A file that somebody else put there is kept beside ours, and said."""
    if path not in written and os.path.exists(path):
        kept = f"{path}.before-changeover-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
        shutil.copy2(path, kept)
        print(f"kept the file that was there: {kept}")


def remember(written, paths):
    """Appends; a run killed before this line asks once more and keeps one copy too many, never one too few."""
    if set(paths) - written:
        os.makedirs(os.path.dirname(WRITTEN), mode=0o755, exist_ok=True)
        with open(WRITTEN, "a") as file:
            file.writelines(f"{path}\n" for path in paths if path not in written)


def main():
    wanted = json.load(sys.stdin)
    if wanted["check"]:
        check(wanted["files"], wanted["check"]["root"], wanted["check"]["command"])
    for entry in wanted["directories"]:
        make_directory(entry)
    for entry in wanted["files"]:
        os.makedirs(os.path.dirname(entry["path"]), mode=0o755, exist_ok=True)
        write(entry["path"] + NEW, entry)
    written = ours()
    for entry in wanted["files"]:
        keep_foreign(entry["path"], written)
        os.replace(entry["path"] + NEW, entry["path"])
    remember(written, [entry["path"] for entry in wanted["files"]])
    for folder in {os.path.dirname(entry["path"]) for entry in wanted["files"]}:
        handle = os.open(folder, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


if __name__ == "__main__":
    main()
