"""Users see the maintenance page: 503 with Retry-After. It stays, also through deploys, until it is turned off.

pyinfra inventories/prod.py runbooks/maintenance_on.py -y [--data system=NAME] [--data why="moving the database"]
On a host of the system, without the control machine: sudo changeover maintenance NAME on
"""

from pyinfra import host

from operations import run
from operations.maintenance import maintenance

plan = run.plan()
system = plan.run.system or plan.main_system()
if host.name == plan.coordinator(system).name:
    maintenance(system, run.live(system), True, run.actor(), plan.run.why)
