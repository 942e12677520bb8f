"""Runs on a host, changes nothing: asks URLs one after the other and says how long each took. Standard library only.

Input: one JSON object as the argument: {"asks": [{"url", "headers"}], "rounds": number, "seconds": time for all,
"bodies": whether answers are wanted}. Output: one JSON object on the last line: {"answers": [[index of the ask,
{"ms", "status", "body"}, {"late": ms} or {"error"}]]}, as many as fitted into the time. Connections are
kept, as a gateway keeps them.
"""

import http.client
import json
import sys
import time
import urllib.parse

MOST = 65536  # bytes of a body that is given back


def main():
    given = json.loads(sys.argv[1])
    end = time.monotonic() + given["seconds"]
    answers = []
    kept: dict[str, http.client.HTTPConnection] = {}
    for number in range(given["rounds"]):
        order = range(len(given["asks"]))
        for index in order if number % 2 == 0 else reversed(order):  # neither slot is always the first
            if (left := end - time.monotonic()) <= 0:
                break
            answers.append([index, ask(given["asks"][index], kept, left, given["bodies"])])
    print(json.dumps({"answers": answers}))


def ask(one, kept, left, bodies):
    url = urllib.parse.urlsplit(one["url"])
    began = time.perf_counter()
    try:
        if url.netloc not in kept:
            secure = url.scheme == "https"
            kept[url.netloc] = (http.client.HTTPSConnection if secure else http.client.HTTPConnection)(url.netloc)
        connection = kept[url.netloc]
        connection.timeout = left
        if connection.sock:
            connection.sock.settimeout(left)
        connection.request("GET", url.path + ("?" + url.query if url.query else ""), headers=one["headers"])
        answer = connection.getresponse()
        body = answer.read()
    except TimeoutError:
        kept.pop(url.netloc).close()
        return {"late": round((time.perf_counter() - began) * 1000, 1)}
    except (OSError, http.client.HTTPException) as error:
        kept.pop(url.netloc).close()
        return {"error": f"{type(error).__name__}: {error}"}
    found = {"ms": round((time.perf_counter() - began) * 1000, 1), "status": answer.status}
    return found | ({"body": body[:MOST].decode(errors="replace")} if bodies else {})


main()
