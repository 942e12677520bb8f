#!/usr/bin/python3
"""Changes to what a host is reached by, which go back by themselves unless somebody came in anew and confirmed them.

    changeover-guard apply          on stdin {"token", "seconds", "parts": [{"name", "files": [{"path", "mode",
                                    "content": base64}], "check", "load", "undo": lists of commands}]}
    changeover-guard confirm TOKEN  keeps them; to be asked over a connection that was opened after `apply`
    changeover-guard revert         puts back what was there; a timer does so too
    changeover-guard boot           the same before the daemons start, which then read the files by themselves
    changeover-guard status         what waits for its confirmation

Write-ahead: what was there lies in UNDO before anything is changed, and to confirm is to remove it. Killed anywhere,
the timer or the next boot undoes it. In a command `{}` is a folder with the new files. Standard library only.
"""

import base64
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HOME = "/var/lib/changeover"
UNDO = f"{HOME}/guard.json"
WRITTEN = f"{HOME}/written"  # paths that changeover wrote, a line each
TIMER = "changeover-guard-revert"
ME = "/usr/local/sbin/changeover-guard"
LIMIT = 30  # seconds for one command


def run(words):
    """What a command said that did not end well; nothing when it did."""
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=-1, stderr=-2, text=True, timeout=LIMIT)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    said = done.stdout.strip()[-2000:] or f"{words[0]} ended with exit code {done.returncode}"
    return said if done.returncode else ""


def put(path, content, mode):
    """The whole file, or the old one; never half of it."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    handle, part = tempfile.mkstemp(prefix=".changeover-", dir=os.path.dirname(path))
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
    os.replace(part, path)
    sync(os.path.dirname(path))


def remove(path):
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
        sync(os.path.dirname(path))


def sync(folder):
    handle = os.open(folder, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def was(path):
    """What lies at a path, for the way back."""
    if not os.path.lexists(path):
        return {"path": path, "content": None, "mode": 0}
    with open(path, "rb") as file:
        text = base64.b64encode(file.read()).decode()
    return {"path": path, "content": text, "mode": os.stat(path).st_mode & 0o7777}


def waiting():
    """What waits for its confirmation; None: nothing."""
    try:
        with open(UNDO) as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def check(part):
    """Ends the run, with nothing changed, when a daemon's own checker refuses the new files."""
    folder = tempfile.mkdtemp(prefix=".changeover-", dir=HOME)
    try:
        for file in part["files"]:
            put(os.path.join(folder, os.path.basename(file["path"])), base64.b64decode(file["content"]), 0o600)
        for words in part["check"]:
            if wrong := run([word.replace("{}", folder) for word in words]):
                sys.exit(f"{part['name']} is refused by its own checker; nothing was changed:\n{wrong}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def apply():
    asked = json.load(sys.stdin)
    if waiting():
        revert("another change was not confirmed")
    for part in asked["parts"]:
        check(part)
    undo = [
        {"name": p["name"], "files": [was(f["path"]) for f in p["files"]], "undo": p["undo"]} for p in asked["parts"]
    ]
    text = json.dumps({"token": asked["token"], "parts": undo})
    put(UNDO, text.encode(), 0o600)
    disarm()
    # Monotonic time: a wall clock that jumps neither shortens nor lengthens it.
    arm = ["systemd-run", "-q", f"--unit={TIMER}", f"--on-active={asked['seconds']}s"]
    if wrong := run([*arm, "--timer-property=AccuracySec=1s", ME, "revert"]):
        remove(UNDO)
        sys.exit(f"no timer for the way back; nothing was changed:\n{wrong}")
    for part in asked["parts"]:
        for file in part["files"]:
            put(file["path"], base64.b64decode(file["content"]), int(file["mode"], 8))
        for words in part["load"]:
            if wrong := run(words):
                revert("it could not be loaded")
                sys.exit(f"{part['name']} could not be loaded; all is as it was:\n{wrong}")


def revert(why, load=True):
    """Puts everything back and loads it; as often as it takes, when killed in between."""
    found = waiting()
    if not found:
        return
    for part in reversed(found["parts"]):
        for file in part["files"]:
            if file["content"] is None:
                remove(file["path"])
            else:
                put(file["path"], base64.b64decode(file["content"]), file["mode"])
        for words in part["undo"] if load else []:
            if wrong := run(words):
                print(wrong, file=sys.stderr)
    remove(UNDO)
    disarm()
    names = " and ".join(part["name"] for part in found["parts"])
    print(f"{names} went back to what was there: {why}", file=sys.stderr)


def confirm(token):
    found = waiting()
    if not found or found["token"] != token:
        sys.exit("nothing of this run waits for a confirmation: it went back already; run the deploy again")
    keep(found)
    remove(UNDO)  # from here on it stays
    disarm()


def keep(found):
    """Foreign files that were replaced are kept beside ours, and said."""
    ours = set(open(WRITTEN).read().splitlines()) if os.path.exists(WRITTEN) else set()
    for file in (file for part in found["parts"] for file in part["files"] if file["path"] not in ours):
        if file["content"] is not None:
            kept = f"{file['path']}.before-changeover-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
            put(kept, base64.b64decode(file["content"]), file["mode"])
            print(f"kept the file that was there: {kept}")
        with open(WRITTEN, "a") as written:
            written.write(f"{file['path']}\n")


def disarm():
    run(["systemctl", "stop", f"{TIMER}.timer"])
    run(["systemctl", "reset-failed", f"{TIMER}.service"])


def main(words):
    os.makedirs(HOME, mode=0o755, exist_ok=True)
    with open(f"{HOME}/guard.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the timer may come while somebody confirms
        if words == ["apply"]:
            apply()
        elif words == ["revert"]:
            revert("nobody confirmed it")
        elif words == ["boot"]:
            revert("nobody had confirmed it before this boot", load=False)
        elif words[:1] == ["confirm"] and len(words) == 2:
            confirm(words[1])
        elif words == ["status"]:
            found = waiting()
            print(json.dumps([part["name"] for part in found["parts"]] if found else []))
        else:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
