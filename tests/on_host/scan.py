"""Runs on a host of the rehearsal: which TCP ports of another answer. Standard library only; bounded in count and time.

Arguments: the other host's address; ports and ranges. Prints the ports that take a connection, then those that refuse
one (nothing listens, and no firewall said so), in one JSON object.
"""

import ipaddress
import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

NETWORKS = ["172.16.0.0/12", "10.0.0.0/8", "192.168.0.0/16"]  # a rehearsal's own, and no other
MOST, AT_ONCE, WAIT = 4000, 400, 1.0


def ports(words):
    found = []
    for word in words:
        first, _, last = word.partition("-")
        found += range(int(first), int(last or first) + 1)
    return sorted(set(found))


def ask(address, port):
    try:
        socket.create_connection((address, port), WAIT).close()
    except TimeoutError:
        return "silent"
    except OSError:
        return "refused"
    return "open"


def main(address, *words):
    wanted = ports(words)
    if not any(ipaddress.ip_address(address) in ipaddress.ip_network(network) for network in NETWORKS):
        sys.exit(f"{address} is no address of a rehearsal")
    if len(wanted) > MOST:
        sys.exit(f"{len(wanted)} ports are more than {MOST}")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = dict(zip(wanted, pool.map(lambda port: ask(address, port), wanted), strict=True))
    print(json.dumps({kind: [p for p, a in answers.items() if a == kind] for kind in ("open", "refused")}))


main(*sys.argv[1:])
