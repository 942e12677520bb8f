"""The host itself: deploy user, time, kernel, updates; firewall and SSH, which go back unless they are confirmed."""

from pyinfra import host

from operations import flow, run
from operations.guard import guarded
from operations.secure import host_itself

plan = run.plan()
host_itself(plan.fleet)
flow.barrier(name="every host is ready for its firewall")
guarded(plan, host.name, run.txn(), exact=run.alone())
