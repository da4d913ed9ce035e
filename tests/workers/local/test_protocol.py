"""What is said between a control process and its workers survives the way, and nonsense is recognised."""

from dataclasses import replace

import pytest

from maingate.errors import WorkerProtocolError
from maingate.uet.capture import Capture, Captured
from maingate.uet.process.command import CommandResult, CommandSpec
from maingate.uet.process.resource_limits import ProcessLimits
from maingate.workers.jobs import Job
from maingate.workers.local.protocol import (
    Cancel,
    Heartbeat,
    Message,
    Ready,
    Result,
    Shutdown,
    decode,
    encode,
)

OUTCOME = CommandResult(passed=False, exit_code=137, signal=9, fault="signal", message="\udcff", seconds=1.5)
JOB = Job(
    job_id="gate_1",
    commit="a" * 40,
    command=CommandSpec(
        name="unit", run=("pytest", "-q"), expect=(0, 5), env={"A": "ü"}, limits=ProcessLimits(cpu_seconds=3)
    ),
    log="one.log",
    attempt=2,
    exclusive=True,
    keep=(".venv",),
    prepare=("pip install .", ("npm", "ci")),
)


@pytest.mark.parametrize(
    "message",
    [
        JOB,
        replace(JOB, capture=Capture(mode="worktree", prompt="ü", stdin=True, task="a/b")),
        Result(
            job_id="t", attempt=1, outcome=replace(OUTCOME, captured=Captured(bytes=3, problem="too big"))
        ),
        Ready(pid=7),
        Result(job_id="gate_1", attempt=2, outcome=OUTCOME),
        Heartbeat(job_id=None),
        Heartbeat(job_id="gate_1"),
        Cancel(job_id="gate_1"),
        Shutdown(),
    ],
)
def test_messages_survive(message: Message) -> None:
    """What is decoded equals what was encoded, and is one line."""
    line = encode(message)

    assert line.count(b"\n") == 1
    assert decode(line) == message


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"hello",
        b"[]",
        b"null",
        b"{}",
        b'{"type":"no such"}',
        b'{"type":[]}',
        b'{"type":"ready"}',
        b'{"type":"ready","pid":"7"}',
        b'{"type":"ready","pid":7,"more":1}',
        b'{"type":"heartbeat","job_id":4}',
        b'{"type":"shutdown","now":true}',
        b'{"type":"result","job_id":"a","attempt":1,"outcome":{}}',
        b'{"type":"result","job_id":"a","attempt":1,"outcome":{"passed":"yes"}}',
        b'{"type":"result","job_id":"a","attempt":"1","outcome":{"passed":true}}',
        b'{"type":"job","job_id":"a"}',
        encode(Result(job_id="a", attempt=1, outcome=OUTCOME)).replace(b'"captured":null', b'"captured":3'),
        encode(Result(job_id="a", attempt=1, outcome=replace(OUTCOME, captured=Captured(bytes=3)))).replace(
            b'"bytes":3', b'"bytes":"3"'
        ),
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_nonsense_is_refused(line: bytes) -> None:
    """What is not a message, with exactly its fields, is one clear error."""
    with pytest.raises(WorkerProtocolError):
        decode(line)
