"""Submitted plans: stored in the state folder, with the files that came along and no others."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from maingate.bootstrap import Maingate
from maingate.db.dao import runs
from maingate.errors import PlanError
from maingate.services.http.uploads import MOST_FILES, Upload
from support.database_factories import NOW, make_run
from support.factories import GitRepo

PLAN = b"maingate: 1\nworkstreams: {w: {tasks: {t: {patch: p/a.patch}}}}\n"


@pytest.fixture
def maingate(repo: GitRepo) -> Iterator[Maingate]:
    """Give Maingate in a repository with settings of its own."""
    repo.commit({"a": "1\n", "maingate.toml": "[policy]\nmax_files = 3\n"})
    with Maingate.open(repo.path) as opened:
        yield opened


def problems(maingate: Maingate, upload: Upload) -> list[str]:
    """Return the problems of a plan that is refused."""
    with pytest.raises(PlanError) as refused, maingate.uploads.loaded(upload, is_kept=True):
        pass
    assert left(maingate) == []
    return [str(each) for each in refused.value.problems]


def left(maingate: Maingate) -> list[Path]:
    """Return what is stored."""
    return sorted(maingate.context.paths.uploads.glob("*"))


def test_a_plan_is_kept_for_its_run_alone(maingate: Maingate) -> None:
    """A plan that is only checked leaves nothing; one that a run is made of is kept with its files."""
    upload = Upload(plan=PLAN, files={"p/a.patch": b"diff\x00\xff"})
    with maingate.uploads.loaded(upload, is_kept=False) as loaded:
        assert loaded.root == maingate.repository.root
        assert loaded.settings.policy.max_files == 3
        assert loaded.patch_path("w", "t").read_bytes() == b"diff\x00\xff"
    assert left(maingate) == []
    with maingate.uploads.loaded(upload, is_kept=True):
        pass
    assert len(left(maingate)) == 1
    with pytest.raises(KeyError), maingate.uploads.loaded(upload, is_kept=True):
        raise KeyError
    assert len(left(maingate)) == 1


def test_plans_that_never_became_runs_are_swept(maingate: Maingate) -> None:
    """Not those that a run names, also from where the repository was before, nor those of a moment ago."""
    for _ in range(4):
        with maingate.uploads.loaded(Upload(plan=PLAN, files={"p/a.patch": b"diff"}), is_kept=True):
            pass
    used, moved, orphan, young = left(maingate)
    with maingate.database.write() as conn:
        paths = [used / "plan.yaml", Path("/elsewhere/uploads") / moved.name / "plan.yaml"]
        runs.insert_many(conn, [make_run(plan_file=str(path)) for path in paths], at=NOW)
    a_day_ago = (maingate.context.clock.now() - timedelta(days=1, seconds=1)).timestamp()
    for folder in (used, moved, orphan):
        os.utime(folder, (a_day_ago, a_day_ago))
    assert maingate.uploads.sweep() == [orphan]
    assert left(maingate) == [used, moved, young]


@pytest.mark.parametrize(
    "name",
    [
        "../a.patch",
        "p/../../a.patch",
        "/etc/passwd",
        "",
        "p//a",
        "./a",
        "a\x00b",
        "a\nb",
        "a\x1b[2Jb",
        "\ud800",
        "p\\a",
        "x" * 256,
        "ü" * 200,
        "/".join(["x" * 200] * 6),
        "plan.yaml",
    ],
)
def test_names_that_lead_elsewhere_are_refused(maingate: Maingate, name: str) -> None:
    """Nothing is written, not even the others."""
    [problem] = problems(maingate, Upload(plan=PLAN, files={"p/a.patch": b"", name: b"x"}))
    assert "below the plan" in problem or "name may be" in problem or "in the way" in problem


def test_a_file_in_the_way_of_another_is_refused(maingate: Maingate) -> None:
    """A name cannot be a file and a folder."""
    [problem] = problems(maingate, Upload(plan=PLAN, files={"p": b"", "p/a.patch": b""}))
    assert "in the way" in problem


def test_files_of_the_server_cannot_be_named(maingate: Maingate, tmp_path: Path) -> None:
    """A diff or a prompt is one that came with the plan; the repository is the one it was sent to."""
    secret = tmp_path / "secret"
    secret.write_text("x")
    plan = f"""
        maingate: 1
        repo: {tmp_path}
        tools: {{t: {{run: "true", capture: worktree}}}}
        workstreams:
          w:
            tasks:
              a: {{patch: {secret}}}
              b: {{tool: t, prompt_file: {secret}}}
              c: {{patch: ../../../config}}
    """
    found = "\n".join(problems(maingate, Upload(plan=plan.encode())))
    assert "'repo': a submitted plan is for" in found or "not in a git repository" in found
    assert "x" not in found.replace(str(secret), "").split()


def test_all_problems_are_told_with_names_as_the_sender_knows_them(maingate: Maingate) -> None:
    """Nothing of where the server keeps it."""
    plan = b"maingate: 1\nworkstreams:\n  w:\n    needs: [v]\n    tasks: {t: {patch: no.patch}, u: {}}\n"
    found = problems(maingate, Upload(plan=plan))
    assert len(found) == 3
    assert all(each.startswith("plan.yaml:") for each in found)
    assert str(maingate.context.paths.root) not in "\n".join(found)


def test_a_plan_of_too_many_files_is_refused(maingate: Maingate) -> None:
    """Before any is written."""
    files = {f"{number}.patch": b"" for number in range(MOST_FILES + 1)}
    assert any("more than" in each for each in problems(maingate, Upload(plan=PLAN, files=files)))
