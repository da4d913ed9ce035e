"""What the target holds already lands no second time, however well it would fit."""

import json
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import pytest

from maingate.bootstrap import Maingate
from maingate.cli.views.headline import target_line
from maingate.db.dao import patches
from maingate.git.command import GitResult
from maingate.git.repository import Repository
from maingate.ids import RunId
from maingate.orchestrator.snapshot_loader import load
from maingate.patches.apply.already_there import AlreadyThere
from maingate.patches.intake import Intake, take_in
from maingate.queries.details.patch import patch_or_task_detail
from maingate.queries.runs.standing import run_standing
from maingate.queries.waits.explain import why
from support.examples import thorough
from support.factories import GitRepo
from support.landing import Landed, land, one_each

LINES = [f"line {number}\n" for number in range(30)]
ALL = {"binary": True, "mode_changes": True}
ENTRY = "\n### Changed\n\n- something was changed\n"


def changelog(count: int) -> str:
    """Return a list of changes whose entries are all alike, so that any of them fits anywhere."""
    return "# Changes\n\n## Unreleased\n" + ENTRY * count + "\n## 1.0\n\n- first\n"


def steps() -> list[dict[str, str | bytes | None]]:
    """Give 25 commits: each with an entry in the list of changes, and with something of every kind."""
    made: list[dict[str, str | bytes | None]] = []
    code = list(LINES)
    for number in range(25):
        files: dict[str, str | bytes | None] = {"CHANGES.md": changelog(number + 1)}
        if number % 5 == 0:
            files[f"new{number}.py"] = f"x = {number}\n"
        elif number % 5 == 1:
            files |= {f"new{number - 1}.py": None, f"moved/new{number - 1}.py": f"x = {number - 1}\n"}
        elif number % 5 == 2:
            files["image.bin"] = bytes([number, 0, 255]) * 40
        elif number % 5 == 3:
            code[number] = f"changed {number}\n"
            files["code.py"] = "".join(code)
        made.append(files)
    made[24] |= {"short-lived": None}
    made[14] |= {"short-lived": "for a while\n"}
    return made


def history(repo: GitRepo) -> tuple[str, dict[str, bytes]]:
    """Commit a real series, and give the commit before it and its patches as mails."""
    start = repo.commit({"CHANGES.md": changelog(0), "code.py": "".join(LINES), "run.sh": "#!/bin/sh\n"})
    for number, files in enumerate(steps()):
        if number == 9:
            (repo.path / "run.sh").chmod(0o755)
        repo.commit(files, f"step {number}")
    folder = repo.path.parent / "mails"
    repo.git("format-patch", "-q", "--binary", "-o", str(folder), start)
    mails = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    assert len(mails) == 25
    return start, mails


def in_order(patches: Mapping[str, bytes]) -> dict[str, Any]:
    """Make one workstream of patches."""
    return {"w": {"tasks": {f"t{at}": {"patch": name} for at, name in enumerate(patches)}}}


def chained(patches: Mapping[str, bytes]) -> dict[str, Any]:
    """Make a workstream of each patch, each on the one before."""
    names = list(patches)
    streams = one_each(patches)
    for before, name in pairwise(names):
        streams[name]["needs"] = [before]
    return streams


def codes(landed: Landed) -> set[str | None]:
    """Return the codes of all tasks."""
    return {landed.code(task["name"]) for task in landed.report["tasks"]}


def again(repo: GitRepo, patches: Mapping[str, bytes], **plan: Any) -> Landed:
    """Land from another folder, each workstream by itself."""
    streams = {name: {"critical": False, "tasks": {"t": {"patch": name}}} for name in patches}
    folder = repo.path.parent / f"again{len(list(repo.path.parent.iterdir()))}"
    return land(repo, patches, folder=folder, workstreams=streams, policy=ALL, **plan)


@pytest.mark.parametrize(
    ("style", "shape"),
    [
        pytest.param("merge", in_order, id="merge"),
        pytest.param("rebase", chained, id="rebase"),
        thorough("squash", in_order, id="squash"),
    ],
)
def test_a_landed_series_lands_nothing_twice(
    repo: GitRepo, style: str, shape: Callable[[Mapping[str, bytes]], dict[str, Any]]
) -> None:
    """Every patch of it is `already_applied`, also those that would apply at another place by now."""
    start, mails = history(repo)
    wanted = repo.tree()
    repo.git("reset", "-q", "--hard", start)
    first = land(repo, mails, workstreams=shape(mails), landing=style, policy=ALL)
    assert first.state == "succeeded"
    assert repo.tree("main") == wanted
    head = repo.head("main")
    second = again(repo, mails, landing=style)
    assert codes(second) == {"already_applied"}
    assert repo.head("main") == head


def test_a_series_that_somebody_else_landed_lands_nothing_twice(repo: GitRepo) -> None:
    """Without any record of it the history tells, at the places where the commits were made."""
    _, mails = history(repo)
    mails = {name: mail for name, mail in mails.items() if "step-14" not in name}  # it was taken back by 24
    head = repo.head("main")
    second = again(repo, mails)
    assert codes(second) == {"already_applied"}
    assert repo.head("main") == head


def test_a_series_that_somebody_squashed_lands_nothing_twice(repo: GitRepo) -> None:
    """A commit that did this among other things counts, also where the patch would fit once more."""
    repo.commit({"CHANGES.md": changelog(2), "a": "a\n"})
    bare = b"".join(
        line
        for line in repo.diff_of({"CHANGES.md": changelog(3)}).splitlines(keepends=True)
        if line[:6] != b"index "
    )
    repo.commit({"CHANGES.md": changelog(3), "a": "A\n"}, "all of it")
    assert codes(again(repo, {"p": bare})) == {"already_applied"}
    repo.commit({"CHANGES.md": changelog(2)}, "not that")
    assert again(repo, {"p": bare}).state == "succeeded"


@pytest.mark.parametrize("on_applied", ["skip", "refuse"])
def test_a_series_lands_again_in_order_only_once(repo: GitRepo, on_applied: str) -> None:
    """The same plan, as one workstream, has nothing left to do; on request it is refused as a whole."""
    start, mails = history(repo)
    repo.git("reset", "-q", "--hard", start)
    land(repo, mails, workstreams=in_order(mails), policy=ALL)
    head = repo.head("main")
    second = land(
        repo,
        mails,
        workstreams=in_order(mails),
        policy=ALL,
        on_applied=on_applied,
        folder=repo.path.parent / "again",
    )
    assert second.code("w/t0") == "already_applied"
    is_refused = on_applied == "refuse"
    assert second.state == ("failed" if is_refused else "succeeded")
    assert second.patch_state("w/t0") == ("quarantined" if is_refused else "dropped")
    assert second.workstream("w")["landed"] is None
    assert repo.head("main") == head


def test_what_was_passed_over_is_not_there_once_the_patch_that_brought_it_is_rolled_back(
    repo: GitRepo,
) -> None:
    """Status, the patch and its wait say so, with who did it and why, until the change has landed again."""
    repo.commit({"a": "".join(LINES)})
    patch = repo.diff_of({"a": "".join(LINES).replace("line 3\n", "three\n")})
    streams = {"w": {"tasks": {"t": {"patch": "p"}}}, "other": {"tasks": {"t": {"noop": True}}}}
    folders = [repo.path.parent / name for name in ("first", "second", "third")]
    first, second = (land(repo, {"p": patch}, workstreams=streams, folder=folder) for folder in folders[:2])
    run_id = RunId(second.report["run_id"])

    def shown() -> list[Any]:
        with Maingate.open(repo.path) as maingate:
            told = maingate.report(run_id)
            parts = run_standing(maingate.context, run_id)["workstreams"]
            assert [one["taken_back"] for one in parts] == [one["taken_back"] for one in told["workstreams"]]
            detail, _ = patch_or_task_detail(maingate.context, told["tasks"][0]["patch"]["id"])
            why_ended = why(maingate.context, told["workstreams"][0]["id"]).what
        found = [told["workstreams"][0], told["tasks"][0], detail]
        assert [one["taken_back"] for one in (told["workstreams"][1], told["tasks"][1])] == [None, None]
        assert len({json.dumps(one["taken_back"]) for one in found}) == 1
        gone = found[0]["taken_back"]
        assert gone is None or why_ended.endswith(gone["message"])
        return [None if gone is None else (gone["patch"], gone["run"], gone["message"]), target_line(told)]

    assert second.code("w/t") == "already_applied"
    assert shown()[0] is None
    brought = first.task("w/t")["patch"]["id"]
    with Maingate.open(repo.path) as maingate:
        maingate.rollback.roll_back([brought], label="it", reason="wrong", operator="ada")
    gone, line = shown()
    assert gone[:2] == (brought, first.report["run_id"])
    assert gone[2] == f"the target had it with {brought} of plan, rolled back since: ada: wrong"
    assert "there already" not in line
    assert "1 rolled back since" in line
    third = land(
        repo,
        {"p": repo.diff_of({"a": "".join(LINES).replace("line 3\n", "three\n")})},
        workstreams=streams,
        folder=folders[2],
    )
    assert third.workstream("w")["landed"] is not None
    assert shown()[0] is None


def test_a_series_whose_first_patch_went_in_upstream_lands_the_rest(repo: GitRepo) -> None:
    """The first is done with a note; those behind it land as if it had been theirs."""
    repo.commit({"a": "".join(LINES)})
    first = repo.diff_of({"a": "".join(LINES).replace("line 3\n", "three\n")})
    second = repo.diff_of({"a": "".join(LINES).replace("line 20\n", "twenty\n")})
    repo.commit({"a": "".join(LINES).replace("line 3\n", "three\n")}, "somebody's")
    landed = land(repo, {"p": first, "q": second}, workstreams=in_order({"p": first, "q": second}))
    assert landed.state == "succeeded"
    assert (landed.code("w/t0"), landed.code("w/t1")) == ("already_applied", None)
    assert "three" in repo.git("show", "main:a")
    assert "twenty" in repo.git("show", "main:a")


@pytest.mark.parametrize("style", ["merge", "squash", "rebase"])
@pytest.mark.parametrize("on_applied", ["skip", "refuse"])
def test_the_same_change_side_by_side_lands_once(repo: GitRepo, style: str, on_applied: str) -> None:
    """Of two workstreams that are proved together the later one is passed over: no empty commit lands."""
    repo.commit({"a": "".join(LINES), "b": "b\n"})
    twice = repo.diff_of({"a": "".join(LINES).replace("line 20\n", "twenty\n")})
    other = repo.diff_of({"b": "B\n"})
    added = repo.diff_of({"c": "c\n"})
    mails = {"twice": twice, "other": other, "added": added}
    both = {"t": {"patch": "twice"}, "u": {"patch": "added"}}
    streams = {
        "one": {"tasks": both},
        "two": {"tasks": both, "critical": False},
        "other": {"tasks": {"t": {"patch": "other"}}},
    }
    gates = {"unit": {"run": "true"}}
    landed = land(repo, mails, workstreams=streams, gates=gates, landing=style, on_applied=on_applied)
    assert landed.state == "succeeded"
    assert landed.workstream("two")["state"] == ("completed" if on_applied == "skip" else "failed")
    assert (landed.code("one"), landed.code("two"), landed.code("other")) == (None, "already_applied", None)
    assert {landed.patch_state("two/t"), landed.patch_state("two/u")} == {"dropped"}
    moves = repo.git("rev-list", "--first-parent", "--format=%T", "--no-commit-header", "main").splitlines()
    assert len(moves) == len(set(moves)), "a commit that changes nothing"


def by_revert(repo: GitRepo, commit: str) -> None:
    """Take a commit back as git does."""
    repo.git("revert", "--no-edit", commit)


def by_hand(repo: GitRepo, _: str) -> None:
    """Take out what it did in a commit that does other things too."""
    repo.commit({"a": "".join(LINES), "b": "something else\n"})


def by_rollback(repo: GitRepo, commit: str) -> None:
    """Take it back on record."""
    with Maingate.open(repo.path) as maingate:
        with maingate.database.read() as conn:
            [row] = patches.of_commit(conn, commit)
        maingate.rollback.roll_back([row.id], label="it", reason="wrong", operator="ada")


@pytest.mark.parametrize("take_back", [by_revert, by_hand, by_rollback], ids=lambda way: way.__name__)
def test_what_was_taken_back_may_land_again(repo: GitRepo, take_back: Callable[[GitRepo, str], None]) -> None:
    """On record, by a revert, or by hand: then the target has it no more."""
    repo.commit({"a": "".join(LINES), "b": "b\n"})
    mail = repo.diff_of({"a": "".join(LINES).replace("line 20\n", "twenty\n")})
    first = land(repo, {"p": mail})
    take_back(repo, first.task("p/t")["patch"]["commit"])
    head = repo.head("main")
    second = again(repo, {"p": mail})
    assert second.state == "succeeded"
    assert repo.head("main") != head
    assert "twenty" in repo.git("show", "main:a")
    assert codes(again(repo, {"p": mail})) == {"already_applied"}


def test_a_change_that_was_built_upon_is_still_there(repo: GitRepo) -> None:
    """Lines that were changed further are neither a conflict nor landed again: nobody took them back."""
    repo.commit({"a": "".join(LINES)})
    mail = repo.diff_of({"a": "".join(LINES).replace("line 20\n", "twenty\n")})
    land(repo, {"p": mail})
    repo.commit({"a": "".join(LINES).replace("line 20\n", "TWENTY\n")})
    assert codes(again(repo, {"p": mail})) == {"already_applied"}


def test_the_same_patch_twice_in_a_plan_lands_once(repo: GitRepo) -> None:
    """Two tasks with one diff are one change said twice; without ids too, where it would fit again."""
    repo.commit({"CHANGES.md": changelog(2)})
    named = repo.diff_of({"CHANGES.md": changelog(3)})
    bare = b"".join(line for line in named.splitlines(keepends=True) if line[:6] != b"index ")
    for mail in (named, bare):
        head = repo.head("main")
        landed = land(
            repo,
            {"p": mail},
            workstreams={"w": {"tasks": {"one": {"patch": "p"}, "two": {"patch": "p", "critical": False}}}},
            folder=repo.path.parent / f"plan{len(mail)}",
        )
        assert (landed.code("w/one"), landed.code("w/two")) == (None, "already_applied")
        assert repo.git("show", "main:CHANGES.md") == changelog(3).strip()
        repo.git("reset", "-q", "--hard", head)


def test_the_same_line_again_on_purpose_lands(repo: GitRepo) -> None:
    """Each patch was made on what the one before left, and says so by the ids on its `index` line."""
    repo.commit({"log": "tick\n" * 5})
    start = repo.head()
    patches = {}
    for number in range(6, 10):
        patches[f"p{number}"] = repo.diff_of({"log": "tick\n" * number})
        repo.commit({"log": "tick\n" * number})
    repo.git("reset", "-q", "--hard", start)
    landed = land(repo, patches, workstreams=in_order(patches))
    assert landed.state == "succeeded"
    assert repo.git("show", "main:log") == ("tick\n" * 9).strip()
    nightly = repo.diff_of({"log": "tick\n" * 10})
    assert again(repo, {"nightly": nightly}).state == "succeeded"


def test_a_commit_that_is_older_than_the_patch_is_another_change(repo: GitRepo) -> None:
    """A patch that goes by a state which came after a commit does not mean that commit."""
    repo.commit({"log": "tick\n" * 5, "b": "b\n"})
    repo.commit({"log": "tick\n" * 6})
    mail = repo.diff_of({"log": "tick\n" * 7})
    repo.commit({"log": "first\n" + "tick\n" * 6})
    landed = land(repo, {"p": mail})
    assert landed.state == "succeeded"
    assert repo.git("show", "main:log") == ("first\n" + "tick\n" * 7).strip()


def test_history_is_read_once_and_only_when_it_matters(
    repo: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A patch that was made on what is there costs no look at the history; others share one."""
    repo.commit({"a": "a\n", "b": "b\n"})
    edit, added = repo.diff_of({"a": "A\n"}), [repo.diff_of({f"n{n}": f"{n}\n"}) for n in range(3)]
    asked: list[str] = []
    with Repository.open(repo.path) as repository:
        private = repository.private_git_dir()
        git = private.git

        def heard(word: str, *words: Any, **more: Any) -> GitResult:
            asked.append(word)
            return git(word, *words, **more)

        monkeypatch.setattr(private, "git", heard)
        there = AlreadyThere(repository, lambda _: [])
        for diff, count in [(edit, 0), *((one, 1) for one in added)]:
            intake = take_in(diff, max_bytes=1 << 20)
            assert isinstance(intake, Intake)
            assert there.reason(intake, there.recall([intake]), onto=repo.head()) is None
            assert asked.count("log") == count


def test_what_needs_work_that_was_there_begins_where_it_is(repo: GitRepo) -> None:
    """The workstream that it needs was passed over when its turn came; its changes are those of another."""
    repo.commit({"a": "".join(LINES)})
    twice = repo.diff_of({"a": "".join(LINES).replace("line 20\n", "twenty\n")})
    start = repo.head()
    repo.commit({"a": "".join(LINES).replace("line 20\n", "twenty\n")})
    upon = repo.diff_of({"a": "".join(LINES).replace("line 20\n", "TWENTY\n")})
    repo.git("reset", "-q", "--hard", start)
    mails = {"one": twice, "two": twice, "upon": upon}
    streams = one_each(mails)
    streams["upon"]["needs"] = ["two"]
    landed = land(repo, mails, workstreams=streams, gates={"unit": {"run": "true"}})
    assert landed.state == "succeeded"
    assert landed.workstream("two")["landed"] is None
    assert "TWENTY" in repo.git("show", "main:a")
    with Maingate.open(repo.path) as maingate, maingate.database.read() as conn:  # as a resume reads it
        now = maingate.context.clock.now()
        run, _ = load(conn, maingate.repository, RunId(landed.report["run_id"]), now=now)
    assert run.base_of(run.workstreams["upon"]).commit == landed.workstream("one")["landed"]
