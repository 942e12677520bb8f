"""Runs on a host: asks idle slots until each answers as wanted. Standard library only. Input: a JSON list on stdin."""

import json
import sys
import time
import urllib.error
import urllib.request


def ask(check):
    """None when the answer is the wanted one, else what it was."""
    try:
        with urllib.request.urlopen(check["url"], timeout=5) as answer:
            if not check["json"]:
                return None
            body = json.load(answer)
    except (OSError, ValueError) as error:
        return str(error)
    wrong = {key: body.get(key) for key, value in check["json"].items() if body.get(key) != value}
    return None if not wrong else f"{json.dumps(body)[:600]}"


def main():
    failed = False
    for check in json.load(sys.stdin):
        end = time.monotonic() + check["limit"]
        while (found := ask(check)) is not None and time.monotonic() < end:
            time.sleep(0.5)
        if found is not None:
            failed = True
            wanted = json.dumps(check["json"]) if check["json"] else "200"
            print(f"{check['name']} is not ready after {check['limit']} s: {check['url']} must say {wanted}")
            print(f"it says: {found}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
