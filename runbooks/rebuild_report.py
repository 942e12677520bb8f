"""The report of a run whose control machine died, from the journal of the system's coordinator. Changes nothing there.

pyinfra inventories/prod.py runbooks/rebuild_report.py -y [--data system=NAME] [--data txn=RUN]
The same: python -m changeover report inventories/prod.py [--system NAME] [--run RUN]
"""

from pyinfra import host

from operations import run
from operations.rebuild import missed, rebuild

plan = run.plan()
system = plan.run.system or plan.main_system()
if lines := missed(plan, system):
    run.refuse(*lines)
if host.name == plan.coordinator(system).name:
    rebuild(plan, system, plan.run.txn)
