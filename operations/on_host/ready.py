"""Runs on a host: asks idle slots until each answers as wanted. Standard library only. Input: a JSON list on stdin."""

import http.client
import json
import sys
import time
import urllib.error
import urllib.request

ONE = 5  # seconds for one answer
MOST = 1 << 20  # bytes of an answer that are read
SHOWN = 600  # characters of it in a message


class AsItIs(urllib.request.HTTPErrorProcessor):
    """Whatever the status is, it is the answer: no error, no redirect to a page that answers 200."""

    def http_response(self, request, response):
        return response


# A slot is asked itself: no proxy of the host's environment.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), AsItIs)


def ask(check, limit):
    """None when the answer is the wanted one, else what it was."""
    try:
        with OPENER.open(check["url"], timeout=limit) as answer:
            status, text = answer.status, answer.read(MOST).decode(errors="replace")
    except (OSError, ValueError, http.client.HTTPException) as error:
        return " ".join(str(error).split()) or type(error).__name__
    try:
        body = json.loads(text) if check["json"] else {}
    except ValueError:
        body = None
    right = isinstance(body, dict) and all(key in body and body[key] == check["json"][key] for key in check["json"])
    return None if status == 200 and right else f"{status} {' '.join(text.split())[:SHOWN]}".strip()


def main():
    failed = False
    for check in json.load(sys.stdin):
        end = time.monotonic() + check["limit"]
        while (found := ask(check, max(0.5, min(ONE, end - time.monotonic())))) is not None:
            if time.monotonic() >= end:
                break
            time.sleep(0.5)
        if found is not None:
            failed = True
            wanted = f"200 and {json.dumps(check['json'])}" if check["json"] else "200"
            print(f"{check['name']} is not ready after {check['limit']} s: {check['url']} must say {wanted}")
            print(f"it says: {found}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
