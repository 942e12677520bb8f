"""What is live, since when, by whom, and is anything off. Changes nothing; exit code 1 when something is off.

pyinfra inventories/prod.py runbooks/status.py -y [--data system=NAME]
On a host of the system, without the control machine: sudo changeover status NAME [--json]
"""

from pyinfra import host

from operations import run, status

plan = run.plan()
for system in plan.systems_on(host.name):
    if host.name == status.asked_first(plan, system, status.reached()):
        status.shown(plan, system)
