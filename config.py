"""pyinfra reads this first: the guards, and the version they were written for."""

from pyinfra import config

from operations import quick, run

config.REQUIRE_PYINFRA_VERSION = ">=3.10,<3.11"
config.FAIL_PERCENT = 0  # one failed host stops the run after that step: the old release keeps serving
run.install()
quick.install()
