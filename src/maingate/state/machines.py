"""All eight machines by the names of the specification."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from maingate.state.circuit_breaker import CIRCUIT_BREAKER
from maingate.state.gate import TEST_GATE
from maingate.state.machine import Machine
from maingate.state.patch_ledger import PATCH_LEDGER
from maingate.state.run import RUN
from maingate.state.task import TASK
from maingate.state.uet_worker import UET_WORKER
from maingate.state.worker import WORKER
from maingate.state.workstream import WORKSTREAM

MACHINES: Final[Mapping[str, Machine]] = MappingProxyType(
    {
        machine.name: machine
        for machine in (RUN, WORKSTREAM, TASK, WORKER, UET_WORKER, PATCH_LEDGER, TEST_GATE, CIRCUIT_BREAKER)
    }
)
"""Every machine, in the order of the specification: from the run down to the gate, then the breaker."""
