"""Writes down what deploy.py wants of each host: run as `pyinfra INVENTORY bench/wanted.py --dry`, changes nothing.

The benchmark converges the same with Ansible. Taking it from the deploy's own calls, not from a list of our own, keeps
both the same whatever the deploy becomes. Secrets are among it: folder 0700, removed when the benchmark ends.
"""

import json

from pyinfra import host, local

from bench import calls

local.include("deploy.py")
keys = ("ssh_hostname", "ssh_port", "ssh_user", "ssh_key", "ssh_known_hosts_file")
calls.FOLDER.joinpath(f"{host.name}.json").write_text(
    json.dumps({"connection": {key: host.data.get(key) for key in keys}, "calls": calls.SEEN.get(host.name, [])})
)
