"""New values of secrets go live without a failed request, and the old ones are worth nothing afterwards.

First write the new values where the old ones are (docs/adopt.md, 4), then:
pyinfra inventories/prod.py runbooks/rotate_secrets.py -y [--data system=NAME]

The whole deploy gives them to the idle slots, and switches. Then the slots with the old values are stopped, and the old
logins of the databases are locked. Until it is confirmed it goes back as every deploy, and the old values go on.
It is for all hosts of a system (no --limit): who was left out could not log in any more.
"""

from pyinfra import host, local

from operations import flow, rotation, run

local.include("deploy.py")

plan = run.plan()
mine = plan.systems_on(host.name)
for system in host.loop(list(plan.systems)):
    if system in mine and plan.switched(system) and host.name == plan.coordinator(system).name:
        rotation.stopped(system, run.txn(), run.actor())
flow.barrier(name="what has the old secrets is stopped on all hosts")
for system in host.loop(list(plan.systems)):
    if system in mine:
        rotation.renewed(plan, system, host.name, run.live(system), run.secrets())
flow.barrier(name="the way back has the new secrets on all hosts")
for system in host.loop(list(plan.systems)):
    if system in mine:
        rotation.locked(plan, system, host.name, run.live(system), run.secrets())
