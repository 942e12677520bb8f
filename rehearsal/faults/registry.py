"""Every fault by its name; in the order in which rehearsal-full tries them."""

from __future__ import annotations

from . import apps, control, hosts, kept, second
from .fault import Fault

FAULTS: dict[str, Fault] = {
    fault.name: fault for fault in (*hosts.FAULTS, *kept.FAULTS, *apps.FAULTS, *second.FAULTS, *control.FAULTS)
}
