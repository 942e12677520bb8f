"""Runs on a host, changes nothing: asks URLs and says how long each took. Standard library only.

Input: one JSON object as the argument: {"asks": [{"url", "headers"}], "rounds": number, "seconds": time for all,
"bodies": whether answers are wanted}. Output: one JSON object on the last line: {"answers": [[index of the ask,
{"ms", "status", "body"}, {"late": ms} or {"error"}]]}, as many as fitted into the time. Each address is asked one URL
after the other over a connection that is kept, as a gateway keeps them; several addresses at the same time, so that one
that is slow takes no time from the others.
"""

import http.client
import json
import sys
import threading
import time
import urllib.parse

MOST = 65536  # bytes of a body that is given back; of a longer one no more is read
GRACE = 0.2  # seconds that an address has to end after its time


def main():
    given = json.loads(sys.argv[1])
    end = time.monotonic() + given["seconds"]
    answers: list = []
    addresses: dict[str, list[int]] = {}
    for index, one in enumerate(given["asks"]):
        addresses.setdefault(urllib.parse.urlsplit(one["url"]).netloc, []).append(index)
    at_it = [
        threading.Thread(target=in_turn, args=(given, indexes, end, answers), daemon=True)
        for indexes in addresses.values()
    ]
    for one in at_it:
        one.start()
    for one in at_it:
        one.join(max(0.0, end + GRACE - time.monotonic()))
    print(json.dumps({"answers": list(answers)}), flush=True)


def in_turn(given, indexes, end, answers):
    """Asks one address its URLs, round by round, until the time is over; the first is always asked."""
    kept: list = []
    for _ in range(given["rounds"]):
        for index in indexes:
            if time.monotonic() >= end:
                return
            answers.append([index, ask(given["asks"][index], kept, end, given["bodies"])])


def ask(one, kept, end, bodies):
    url = urllib.parse.urlsplit(one["url"])
    began = time.perf_counter()
    try:
        if not kept:
            secure = url.scheme == "https"
            kept.append((http.client.HTTPSConnection if secure else http.client.HTTPConnection)(url.netloc))
        connection = kept[0]
        connection.timeout = left(end)
        if connection.sock:
            connection.sock.settimeout(left(end))
        connection.request("GET", url.path + ("?" + url.query if url.query else ""), headers=one["headers"])
        answer = connection.getresponse()
        body, part = b"", b"-"
        while part and len(body) < MOST:
            if connection.sock:  # one that answers drop by drop has no more time than one that does not answer
                connection.sock.settimeout(left(end))
            part = answer.read1(MOST)
            body += part
        if answer.length == 0:
            answer.read()  # http.client is told so that the body is whole, and keeps the connection
        if not answer.isclosed():
            kept.pop().close()
    except TimeoutError:
        kept.pop().close()
        return {"late": round((time.perf_counter() - began) * 1000, 1)}
    except (OSError, http.client.HTTPException) as error:
        kept.pop().close()
        return {"error": f"{type(error).__name__}: {error}"}
    found = {"ms": round((time.perf_counter() - began) * 1000, 1), "status": answer.status}
    return found | ({"body": body[:MOST].decode(errors="replace")} if bodies else {})


def left(end):
    """Seconds until the end. Raises TimeoutError when there are none."""
    found = end - time.monotonic()
    if found <= 0:
        raise TimeoutError
    return found


main()
