"""Files, packages, users and units only, as recorded by wanted.py: pyinfra's side of the narrower comparison."""

import json

from pyinfra import host

from bench import calls

seen = []
for call in host.loop(json.loads(calls.FOLDER.joinpath(f"{host.name}.json").read_text())["calls"]):
    key = [call["operation"], {**call["arguments"], "name": ""}]
    if call["operation"] != "up" and key not in seen:  # layers ask for the same tree again; once is enough here
        seen.append(key)
        calls.replay(**call)
