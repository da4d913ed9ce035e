"""Finding out what gates say of trees."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from maingate.commits import Tip
from maingate.db.dao import verdicts
from maingate.db.dao.verdicts import Verdict
from maingate.errors import DatabaseError
from maingate.ids import WorkstreamId
from maingate.verdicts.service import VerdictService
from maingate.verdicts.subject import JudgedSubject
from support.database_factories import NOW

TREE = Tip(commit="c", tree="t")
SUBJECT = JudgedSubject(label="w", workstream_id=WorkstreamId("ws_1"))
PASSED = Verdict(
    key="k",
    gate_name="unit",
    tree="t",
    state="PASSED",
    exit_code=0,
    is_flaky=False,
    gate_id="gate_1",
    created_at=NOW,
)


def test_what_failed_for_a_moment_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that could not be read once is no answer, also for those who ask a second time."""
    reads = iter([DatabaseError("it is locked"), {"k": PASSED}])

    def known(*_: Any) -> Any:
        found = next(reads)
        if isinstance(found, Exception):
            raise found
        return found

    @contextmanager
    def read() -> Iterator[None]:
        yield None

    monkeypatch.setattr(verdicts, "are_there", lambda _: True)
    monkeypatch.setattr(verdicts, "known", known)
    parts: dict[str, Any] = {name: SimpleNamespace() for name in ("executions", "records", "files")}
    service = VerdictService(
        definitions={},
        keys=SimpleNamespace(key=lambda *_: "k"),  # type: ignore[arg-type]
        database=SimpleNamespace(read=read),  # type: ignore[arg-type]
        **parts,
    )

    async def ask_twice() -> bool:
        with pytest.raises(DatabaseError, match="locked"):
            await service.find(SUBJECT, "unit", TREE, again=False)
        return (await service.find(SUBJECT, "unit", TREE, again=False)).passed

    assert asyncio.run(ask_twice())
