"""All eight machines by the names of the specification."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from headgate.state.circuit_breaker import CIRCUIT_BREAKER
from headgate.state.gate import TEST_GATE
from headgate.state.machine import Machine
from headgate.state.patch_ledger import PATCH_LEDGER
from headgate.state.run import RUN
from headgate.state.task import TASK
from headgate.state.uet_worker import UET_WORKER
from headgate.state.worker import WORKER
from headgate.state.workstream import WORKSTREAM

MACHINES: Final[Mapping[str, Machine]] = MappingProxyType(
    {
        machine.name: machine
        for machine in (RUN, WORKSTREAM, TASK, WORKER, UET_WORKER, PATCH_LEDGER, TEST_GATE, CIRCUIT_BREAKER)
    }
)
"""Every machine, in the order of the specification: from the run down to the gate, then the breaker."""
