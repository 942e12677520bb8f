"""The release before goes live again; the one that is live now is held. Loses nothing (K1: under 5 minutes).

pyinfra inventories/prod.py runbooks/rollback_code.py -y [--data system=NAME] [--data why="errors in export"]
On a host of the system, without the control machine: sudo changeover rollback NAME
"""

from pyinfra import host

from operations import run
from operations.commands import commands
from operations.release import roll_back

plan = run.plan()
system = plan.run.system or plan.main_system()
if host.name == plan.coordinator(system).name:
    left, back = run.live(system).release.live or "", run.live(system).release.previous or run.release(system)
    run.instead(system, back)
    roll_back(system, run.actor(), plan.run.why)
    commands(plan, system, "after", back, left)
