"""Whole runs on either database: the same plan, the same branch, the same record."""

from collections.abc import Callable

import pytest

from maingate.bootstrap import Maingate
from maingate.db.audit.record_check import verify
from support.factories import GitRepo
from support.landing import land


def test_a_run_lands_and_is_recorded_alike(
    repo: GitRepo, dialect: str, new_url: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Good, broken and conflicting patches with a gate; an empty database is made ready on the way."""
    monkeypatch.setenv("MAINGATE_DATABASE_URL", new_url(dialect, is_empty=True))
    repo.commit({"a.txt": "one\ntwo\nthree\n", "b.txt": "b\n"})
    patches = {
        "good": repo.diff_of({"a.txt": "1\ntwo\nthree\n"}),
        "late": repo.diff_of({"a.txt": "I\ntwo\nthree\n"}),
        "red": repo.diff_of({"b.txt": "bad\n"}),
        "none": b"garbage\n",
    }
    landed = land(repo, patches, gates={"unit": {"run": "! grep -q bad b.txt"}})
    assert {ws["name"]: ws["state"] for ws in landed.report["workstreams"]} == {
        "good": "completed",
        "late": "failed",
        "red": "failed",
        "none": "failed",
    }
    assert [landed.code(f"{name}") for name in ("late", "red", "none")] == [
        "conflict",
        "gate_failed",
        "format_invalid",
    ]
    assert repo.git("show", "main:a.txt") == "1\ntwo\nthree"
    with Maingate.open(repo.path) as maingate:
        assert maingate.database.dialect == dialect
        assert verify(maingate.database, log=maingate.paths.transitions).is_intact
