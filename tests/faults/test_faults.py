"""Every fault of rehearsal/faults, tried on the hosts; `python -m rehearsal fault NAME` tries one by hand."""

import pytest

from rehearsal.faults.frame import try_out
from rehearsal.faults.registry import FAULTS


def cases():
    """The everyday ones for make test-faults, all of them for make rehearsal-full."""
    matrix = [pytest.mark.matrix]
    return [pytest.param(fault, id=name, marks=() if fault.everyday else matrix) for name, fault in FAULTS.items()]


@pytest.mark.parametrize("fault", cases())
def test_fault(fault, record_property):
    verdict = try_out(fault)
    for key, value in verdict.row().items():
        record_property(key, value)
    assert verdict.ok, "\n".join(verdict.lines())
