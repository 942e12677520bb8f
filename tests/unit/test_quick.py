"""What pyinfra does with less work is what it did before."""

from types import SimpleNamespace

import pyinfra
import pytest
from pyinfra.api import arguments, facts, util

from operations import quick


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    """pyinfra's own come back after the test."""
    for module, name in (
        (util, "stack"), (util, "getframeinfo"), (arguments, "all_global_arguments"), (facts, "all_global_arguments")
    ):  # fmt: skip
        monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setattr(pyinfra, "is_cli", True)


def order() -> list[int]:
    state = SimpleNamespace(current_deploy_filename=__file__, current_op_file_number=7)
    return util.get_operation_order_from_stack(state)  # type: ignore[arg-type]


def test_the_order_of_operations_is_the_same(theirs: None) -> None:
    found = []
    for install in (lambda: None, quick.install):
        install()
        found.append(order())
    assert found[0] == found[1] and found[0][0] == 7 and len(found[0]) >= 3
    assert util.get_call_location(frame_offset=0).endswith("tests/unit/test_quick.py")


def test_the_text_of_no_line_is_read(theirs: None) -> None:
    quick.install()
    assert {one.code_context for one in util.stack()} == {None}


def test_the_arguments_are_the_same_and_asked_once(theirs: None) -> None:
    before = arguments.all_global_arguments()
    quick.install()
    assert arguments.all_global_arguments() == before and facts.all_global_arguments is arguments.all_global_arguments
    assert arguments.all_global_arguments() is arguments.all_global_arguments()
