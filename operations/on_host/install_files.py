"""Runs on a host: puts a tree of files into place, all checked first, each renamed into place. Standard library only.

Input on stdin, one JSON object: {"directories": [{path, mode, owner, group}], "files": [{path, mode, owner, group,
content: base64}], "check": null or {"root": folder, "command": words; {} is a copy of it with the new files}}.
Exit 1 and nothing changed when the check fails; its output is printed.
"""

import base64
import contextlib
import errno
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
LIMIT = 120  # seconds for a daemon's checker


def user(name):
    return int(name) if name.isdigit() else pwd.getpwnam(name).pw_uid


def group(name):
    return int(name) if name.isdigit() else grp.getgrnam(name).gr_gid


def own(handle, entry):
    os.chown(handle, user(entry["owner"]), group(entry["group"]))
    os.chmod(handle, int(entry["mode"], 8))


def make_directory(entry):
    os.makedirs(entry["path"], mode=0o755, exist_ok=True)
    own(entry["path"], entry)


def write(path, entry):
    """A new file that nobody else can open before it has its owner and mode, whatever lay or was linked there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(base64.b64decode(entry["content"]))
        file.flush()
        own(file.fileno(), entry)
        os.fsync(file.fileno())


def check(files, root, command):
    """Runs the daemon's own checker on a copy of root with the new files in it."""
    staged = tempfile.mkdtemp(prefix=".changeover-", dir=existing(os.path.dirname(root)))
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
        try:
            run = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT)
        except (OSError, subprocess.TimeoutExpired) as error:
            sys.exit(f"{' '.join(command)} did not answer; nothing was changed:\n{error}")
        if run.returncode:
            sys.exit(f"refused by {' '.join(command)}; nothing was changed:\n{run.stdout.strip()}")
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def existing(folder):
    """The folder, or the nearest one above it that is there."""
    return folder if os.path.isdir(folder) else existing(os.path.dirname(folder))


def ours():
    """Paths that earlier runs wrote."""
    if not os.path.exists(WRITTEN):
        return set()
    with open(WRITTEN) as file:
        return set(file.read().splitlines())


def keep_foreign(path, written):
    """A file that somebody else put there is kept beside ours, and said."""
    if path in written or not os.path.lexists(path):
        return
    kept = f"{path}.before-changeover-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    shutil.copy2(path, kept, follow_symlinks=False)
    if not os.path.islink(path):
        os.chown(kept, os.stat(path).st_uid, os.stat(path).st_gid)
    print(f"kept the file that was there: {kept}")


def remember(written, paths):
    """Appends; a run killed before this line asks once more and keeps one copy too many, never one too few."""
    if set(paths) - written:
        os.makedirs(os.path.dirname(WRITTEN), mode=0o755, exist_ok=True)
        with open(WRITTEN, "a") as file:
            file.writelines(f"{path}\n" for path in paths if path not in written)


def stage(files):
    """Writes every file beside its place; when one cannot be written none stays."""
    staged = []
    try:
        for entry in files:
            os.makedirs(os.path.dirname(entry["path"]), mode=0o755, exist_ok=True)
            staged.append(entry["path"] + NEW)
            write(entry["path"] + NEW, entry)
    except BaseException as error:
        for path in staged:
            with contextlib.suppress(OSError):
                os.unlink(path)
        if isinstance(error, OSError):  # which names no file when the disk is full
            look = "; look: df -h, df -i" if error.errno == errno.ENOSPC else ""
            sys.exit(f"{entry['path']} cannot be written: {error.strerror}; no file was replaced{look}")
        raise


def refuse_impossible(wanted):
    """Ends before anything is changed when a file or folder cannot be what it must be."""
    for entry in wanted["files"]:
        if os.path.isdir(entry["path"]) and not os.path.islink(entry["path"]):
            sys.exit(f"{entry['path']} is a folder, a file must be there; nothing was changed")
    for entry in wanted["directories"]:
        if os.path.lexists(entry["path"]) and not os.path.isdir(entry["path"]):
            sys.exit(f"{entry['path']} is no folder, one must be there; nothing was changed")
    for entry in wanted["directories"] + wanted["files"]:
        for kind, lookup in (("owner", user), ("group", group)):
            try:
                lookup(entry[kind])
            except KeyError:
                sys.exit(f"{entry['path']}: no {kind} {entry[kind]} on this host; nothing was changed")


def main():
    wanted = json.load(sys.stdin)
    refuse_impossible(wanted)
    if wanted["check"]:
        check(wanted["files"], wanted["check"]["root"], wanted["check"]["command"])
    for entry in wanted["directories"]:
        make_directory(entry)
    stage(wanted["files"])
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
