"""Runs on a host: asks over the network or in containers, and prints the answers as one JSON object. Reads only.

Argument: [{"id", "kind", ...}]; kinds: http (address, port, host, path, headers, tls, alpn), line (address, port: the
first line that a server says), words (a command, limit in seconds). Standard library only. No answer is {"error": why}.
"""

import hashlib
import http.client
import json
import socket
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

LIMIT = 10  # seconds for each question
BODY = 500_000


def ask_http(q):
    """One GET to an address under a name. The certificate is shown, not judged: the test compares it."""
    sock = socket.create_connection((q["address"], q["port"]), LIMIT)
    shown = {}
    if q.get("tls"):
        context = ssl._create_unverified_context()
        context.set_alpn_protocols(q.get("alpn") or ["http/1.1"])
        sock = context.wrap_socket(sock, server_hostname=q["host"])
        shown = {"alpn": sock.selected_alpn_protocol(), "der": sock.getpeercert(True).hex()}
        if q.get("alpn"):
            return shown
    link = http.client.HTTPConnection(q["host"], timeout=LIMIT)
    link.sock = sock
    link.putrequest("GET", q["path"], skip_host=True, skip_accept_encoding=True)
    for key, value in {"Host": q["host"], **q.get("headers", {})}.items():
        link.putheader(key, value)
    link.endheaders()
    answer = link.getresponse()
    body = b"" if answer.status == 101 else answer.read(BODY)
    headers = {key.lower(): value for key, value in answer.getheaders()}
    readable = headers.get("content-type", "").startswith(("text/", "application/json"))
    return {
        **shown,
        "status": answer.status,
        "headers": headers,
        "body": body.decode(errors="replace") if readable else "",
        "digest": hashlib.sha256(body).hexdigest(),
    }


def ask_line(q):
    with socket.create_connection((q["address"], q["port"]), LIMIT) as link:
        return {"line": link.makefile().readline()}


def ask_words(q):
    run = subprocess.run(
        q["words"], capture_output=True, text=True, timeout=q.get("limit", LIMIT), stdin=subprocess.DEVNULL
    )
    return {"code": run.returncode, "out": run.stdout.strip(), "err": run.stderr.strip()[-500:]}


KINDS = {"http": ask_http, "line": ask_line, "words": ask_words}


def ask(q):
    try:
        return KINDS[q["kind"]](q)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def main():
    questions = json.loads(sys.argv[1])
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, questions))
    print(json.dumps({q["id"]: answer for q, answer in zip(questions, answers, strict=True)}))


main()
