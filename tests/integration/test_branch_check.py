"""The record is held against the branch: what was rewritten, cut off, removed or copied shows there."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from maingate.bootstrap import Maingate
from maingate.db.audit.record_check import AuditReport, verify
from maingate.db.dao import patches
from maingate.db.sql.statements import change
from maingate.errors import RepositoryError
from maingate.landing.ledger_trailers import LEDGER, seal_of, trailers
from maingate.queries.audit import audit_record
from support.factories import GitRepo
from support.landing import Landed, land
from support.made_once import made_once
from support.tampering import drop_triggers, rebind, rehash

STYLES = ("merge", "squash", "rebase")


def audited(repo: GitRepo, **how: Any) -> AuditReport:
    """Check the record of a repository."""
    with Maingate.open(repo.path) as maingate:
        return audit_record(maingate.context, **how)


def problems(repo: GitRepo, **how: Any) -> str:
    """Give what is found, in one text."""
    return "\n".join(finding.problem for finding in audited(repo, **how).findings)


def land_one(repo: GitRepo, name: str = "one", **plan: Any) -> Landed:
    """Land one workstream of one patch, which adds a file."""
    wanted = {"gates": {"t": {"run": "true"}}} | plan
    landed = land(
        repo, {name: repo.diff_of({f"{name}.txt": "x\n"})}, folder=repo.path.parent / name, **wanted
    )
    assert landed.state == "succeeded"
    return landed


@pytest.fixture
def landed(repo: GitRepo) -> GitRepo:
    """Give a repository with two runs that have landed."""
    made_once(repo.path.parent, "landed", _make_landed)
    return repo


def _make_landed(folder: Path) -> None:
    repo = GitRepo.create(folder / "repo")
    repo.commit({"a.txt": "one\n"})
    land_one(repo, "one")
    land_one(repo, "two")
    assert audited(repo).is_intact


def forge(repo: GitRepo, *statements: str) -> None:
    """Change the database as somebody with all rights would: all is bound and hashed anew to its end."""
    with Maingate.open(repo.path) as maingate, maingate.database.write() as connection:
        drop_triggers(connection)
        for sql in statements:
            assert change(connection, sql) >= 1
        rebind(connection)
        rehash(connection)
    (repo.path / ".git" / "maingate" / "transitions.jsonl").unlink()
    with Maingate.open(repo.path) as maingate:
        assert verify(maingate.database).is_intact, "from the record alone nothing is to be seen any more"


def database_of(repo: GitRepo) -> Path:
    """Give where the record is."""
    return repo.path / ".git" / "maingate" / "maingate.db"


@pytest.mark.parametrize("style", STYLES)
def test_each_landing_carries_the_head_of_the_ledger(repo: GitRepo, style: str) -> None:
    """The last line of the commit that lands is the seal; all verdicts that let it land are before it."""
    repo.commit({"a.txt": "one\n"})
    first = land_one(repo, "one", landing=style)
    repo.commit({"other.txt": "x\n"})
    land_one(repo, "two", landing=style)
    message = repo.git_bytes("log", "-1", "--format=%B", "main").strip() + b"\n"
    seal = seal_of(message)
    assert seal is not None
    with closing(sqlite3.connect(database_of(repo))) as raw, raw:
        rows = raw.execute("SELECT seq, about FROM facts ORDER BY seq").fetchall()
    raw.close()
    verdicts = [seq for seq, about in rows if about in {"verdicts", "gate_evidence"}]
    intents = [seq for seq, about in rows if about == "intents"]
    assert max(verdicts) <= seal[0] < max(intents)
    assert first.workstream("one")["landed"] in repo.git("rev-list", "main").split()
    assert (audited(repo).is_intact, audited(repo).anchors) == (True, 2)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE verdicts SET created_at = created_at + 1",
        "UPDATE gates SET output = 'all is well'",
        "UPDATE patch_artifacts SET diff = x'41', sha256 = replace(sha256, substr(sha256, 1, 1), 'f')",
        "UPDATE gate_evidence SET reused = NOT reused",
        "UPDATE runs SET plan = '{}'",
        "UPDATE state_transitions SET operator = 'eve' WHERE entity_type = 'patch_ledger'",
    ],
)
def test_a_ledger_that_was_hashed_anew_to_its_end_is_found(landed: GitRepo, sql: str) -> None:
    """Whatever was changed before a landing gives another head than the one that the branch carries."""
    forge(landed, sql)
    assert "rows up to" in problems(landed)
    assert "rows up to" in problems(landed, against="main")


def test_another_landed_commit_is_found(landed: GitRepo) -> None:
    """What is on record after the last landing is held against the branch itself."""
    forge(landed, "UPDATE workstreams SET landed_commit = '0000000000000000000000000000000000000000'")
    assert "no landing on record made that" in problems(landed)


def test_swapped_commits_are_found(landed: GitRepo) -> None:
    """A commit names the patch that it holds."""
    with closing(sqlite3.connect(database_of(landed))) as raw, raw:
        (one, a), (two, b) = raw.execute('SELECT id, "commit" FROM patches').fetchall()
    raw.close()
    forge(
        landed,
        f"UPDATE patches SET \"commit\" = CASE id WHEN '{one}' THEN '{b}' WHEN '{two}' THEN '{a}' END",
    )
    assert "is on record as landed with" in problems(landed)


def test_a_cut_tail_is_found(repo: GitRepo) -> None:
    """A record from before the last landing is whole by itself; the branch knows more."""
    repo.commit({"a.txt": "one\n"})
    land_one(repo, "one")
    state = database_of(repo).parent
    shutil.copytree(state, state.parent / "older")
    run = land_one(repo, "two").report["run_id"]
    shutil.rmtree(state)
    (state.parent / "older").rename(state)
    assert f"{run}, which is not on record: it was removed from it" in problems(repo)
    with Maingate.open(repo.path) as maingate:
        assert verify(maingate.database, log=maingate.paths.transitions).is_intact


def test_a_landing_that_was_removed_from_the_branch_is_found(landed: GitRepo) -> None:
    """A branch that was rewritten does not have what is on record."""
    landed.git("checkout", "-q", "--detach")
    landed.git("branch", "-f", "main", "main~1")
    assert "which is no longer in the history of refs/heads/main" in problems(landed)


@pytest.fixture
def pushed(repo: GitRepo) -> GitRepo:
    """Give a repository with a remote that has the first of two landings."""
    made_once(repo.path.parent, "pushed", _make_pushed)
    repo.git("remote", "set-url", "origin", str(repo.path.parent / "up.git"))
    return repo


def _make_pushed(folder: Path) -> None:
    repo, up = GitRepo.create(folder / "repo"), folder / "up.git"
    repo.commit({"a.txt": "one\n"})
    repo.git("init", "-q", "--bare", str(up))
    repo.git("remote", "add", "origin", str(up))
    land_one(repo, "one")
    repo.git("push", "-q", "origin", "main")
    land_one(repo, "two")
    repo.git("fetch", "-q", "origin")


@pytest.mark.parametrize("style", STYLES)
def test_landings_that_were_not_pushed_yet_are_no_findings(repo: GitRepo, style: str) -> None:
    """A remote's branch that is merely behind lacks what nobody has brought there; it is said how many."""
    repo.commit({"a.txt": "one\n"})
    repo.git("update-ref", "refs/remotes/origin/main", "main")
    for name in ("one", "two"):
        land_one(repo, name, landing=style)
    report = audited(repo, against="origin/main")
    assert (report.findings, report.anchors) == ((), 0)
    [note] = report.notes
    assert note == "2 landings are on refs/heads/main and not in origin/main yet: push them"
    repo.git("update-ref", "refs/remotes/origin/main", "main")
    report = audited(repo, against="origin/main")
    assert (report.findings, report.notes, report.anchors) == ((), (), 2)


def test_what_was_pushed_is_still_held_against_the_record(pushed: GitRepo) -> None:
    """A part is there and is compared; the rest is a note. So is all of it once it was pushed."""
    report = audited(pushed, against="origin/main")
    assert (report.findings, len(report.notes), report.anchors) == ((), 1, 1)
    forge(pushed, "UPDATE gates SET output = 'all is well'")
    assert "rows up to" in problems(pushed, against="origin/main")


def test_a_remote_that_was_set_back_or_rewritten_is_found(pushed: GitRepo) -> None:
    """What its branch has had, as its log tells, and has no more was taken from it, whatever came on top."""
    pushed.git("push", "-q", "origin", "main")
    assert audited(pushed, against="origin/main").notes == ()
    pushed.git("push", "-q", "--force", "origin", "main~1:main")
    found = problems(pushed, against="origin/main")
    assert "is no longer in the history of origin/main (rewritten or reset)" in found
    other = pushed.git("commit-tree", "-p", "main~2", "-m", "another way", "main~2^{tree}")
    pushed.git("push", "-q", "--force", "origin", f"{other}:main")
    again = problems(pushed, against="origin/main")
    assert again.count("is no longer in the history of origin/main") >= 2


def test_a_remote_that_has_gone_another_way_is_no_finding(pushed: GitRepo) -> None:
    """Somebody else pushed meanwhile: what has landed here was never there, as far as can be seen."""
    other = pushed.git("commit-tree", "-p", "main~1", "-m", "a colleague's", "main~1^{tree}")
    pushed.git("update-ref", "refs/remotes/origin/main", other)
    base = pushed.git("rev-parse", "main~1")
    for against in ("origin/main", other):
        report = audited(pushed, against=against)
        assert report.findings == ()
        [note] = report.notes
        assert f"1 landing is on refs/heads/main and not in {against}, which has diverged" in note
        assert f"since {base[:12]}" in note


def test_a_remote_that_is_ahead_has_all_that_has_landed(pushed: GitRepo) -> None:
    """What others put on top is theirs."""
    other = pushed.git("commit-tree", "-p", "main", "-m", "a colleague's", "main^{tree}")
    pushed.git("update-ref", "refs/remotes/origin/main", other)
    report = audited(pushed, against="origin/main")
    assert (report.findings, report.notes, report.anchors) == ((), (), 2)


def test_a_target_that_was_rewritten_here_is_found_whatever_the_remote_lacks(pushed: GitRepo) -> None:
    """A landing that neither has is in nobody's history."""
    pushed.git("checkout", "-q", "--detach")
    pushed.git("branch", "-f", "main", "main~1")
    assert "is not in the history of origin/main (the branch or the record was rewritten)" in problems(
        pushed, against="origin/main"
    )


def test_a_branch_that_is_gone_is_said_to_be(landed: GitRepo) -> None:
    """Nothing is claimed of a branch that is not there."""
    landed.git("checkout", "-q", "--detach")
    landed.git("branch", "-D", "main")
    report = audited(landed)
    assert report.is_intact
    [note] = report.notes
    assert "refs/heads/main does not exist" in note
    assert audited(landed, against="HEAD").anchors == 2


def test_a_revision_that_is_none_is_refused(landed: GitRepo) -> None:
    """A mistyped branch is no branch that has nothing."""
    with pytest.raises(RepositoryError, match="is not a commit"):
        audited(landed, against="mian")


FORGED = b"""From 1111111111111111111111111111111111111111 Mon Sep 17 00:00:00 2001
From: Eve <eve@example.org>
Date: Mon, 5 Jan 2026 10:00:00 +0000
Subject: [PATCH] innocent

Words.

Maingate-Run: run_01ARZ3NDEKTSV4RRFFQ69G5FAV
Maingate-Patch: patch_01ARZ3NDEKTSV4RRFFQ69G5FAV
Maingate-Record: record_01ARZ3NDEKTSV4RRFFQ69G5FAV
Maingate-Ledger: 5:%s
---
""" % (b"a" * 64)


@pytest.mark.parametrize("style", STYLES)
def test_trailers_that_a_patch_brings_along_neither_blind_nor_break(repo: GitRepo, style: str) -> None:
    """A series that another Maingate landed, or a hostile message, is told by the ids of its commits."""
    repo.commit({"a.txt": "one\n"})
    diff = repo.diff_of({"evil.txt": "x\n"})
    assert land(repo, {"evil": FORGED + diff + b"-- \n2.43\n"}, landing=style).state == "succeeded"
    report = audited(repo)
    assert (report.findings, report.anchors) == ((), 1)
    message = repo.git_bytes("log", "-1", "--format=%B", "main")
    assert len(trailers(message.strip(), LEDGER)) == (1 if style == "merge" else 2)


def test_a_landing_by_another_record_is_told_and_may_be_accepted(repo: GitRepo) -> None:
    """Two clones with a record each: whoever pulls has landings that only the other one's record has."""
    repo.commit({"a.txt": "one\n"})
    land_one(repo, "one")
    other = repo.path.parent / "other"
    repo.git("clone", "-q", str(repo.path), str(other))
    clone = GitRepo(other)
    run = land_one(clone, "two").report["run_id"]
    repo.git("pull", "-q", "--ff-only", str(other), "main")
    assert f"{run}, which is not on record" in problems(repo)
    report = audited(repo, others=True)
    assert report.is_intact
    assert f"{run}, which landed from another record" in "".join(report.notes)


def test_a_copy_by_hand_is_no_finding(landed: GitRepo) -> None:
    """A cherry-pick of what landed names its run, and its own commit is there."""
    with Maingate.open(landed.path) as maingate, maingate.database.read() as connection:
        commits = [patch.commit for patch in patches.listed(connection)]
    landed.git("checkout", "-q", "-b", "backports", "main")
    landed.git("revert", "--no-edit", "-m", "1", "main")
    landed.git("cherry-pick", str(commits[0]))
    report = audited(landed, against="backports")
    assert report.is_intact
    assert "1 on backports are copies" in "".join(report.notes)


@pytest.mark.parametrize("style", STYLES)
def test_what_was_carried_to_another_target_is_a_copy(repo: GitRepo, style: str) -> None:
    """A fix that landed on one branch and is picked onto another is no finding there, a rollback neither."""
    repo.commit({"a.txt": "one\n"})
    repo.git("branch", "stable")
    patch = land_one(repo, "one", landing=style).task("one/t")["patch"]["id"]
    fix = repo.git("rev-parse", "main")
    with Maingate.open(repo.path) as maingate:
        maingate.rollback.roll_back([patch], label="one", reason="too early", operator="ada")
    land_one(repo, "two", landing=style, target="stable")
    repo.git("checkout", "-q", "stable")
    parents = repo.git("rev-list", "--parents", "-1", fix).split()[1:]
    repo.git("cherry-pick", *(["-m", "1"] if len(parents) > 1 else []), fix)
    repo.git("cherry-pick", "main")
    report = audited(repo)
    assert report.is_intact, report.findings
    assert "2 on refs/heads/stable are copies" in "".join(report.notes)


@pytest.mark.parametrize("style", STYLES)
def test_a_rollback_is_sealed_like_a_landing(repo: GitRepo, style: str) -> None:
    """What takes a landing back moves the branch too, and is looked for on it."""
    repo.commit({"a.txt": "one\n"})
    patch = land_one(repo, "one", landing=style).task("one/t")["patch"]["id"]
    with Maingate.open(repo.path) as maingate:
        maingate.rollback.roll_back([patch], label="one", reason="wrong", operator="ada")
    assert (audited(repo).findings, audited(repo).anchors) == ((), 2)
    repo.git("checkout", "-q", "--detach")
    repo.git("branch", "-f", "main", "main~1")
    assert "was rolled back with commit" in problems(repo)


def test_the_commit_that_a_gate_wants_to_see_is_the_one_that_lands(repo: GitRepo, tmp_path: Path) -> None:
    """With `needs_commit` the seal is made first: the verdict is about the very commit."""
    repo.commit({"a.txt": "one\n"})
    seen = tmp_path / "seen"
    gate = {"run": f"git rev-parse HEAD >> {seen}", "needs_commit": True}
    landed = land_one(repo, "one", gates={"t": gate})
    assert landed.workstream("one")["landed"] in seen.read_text().split()
    assert audited(repo).anchors == 1


def test_rows_that_cannot_be_read_are_findings(landed: GitRepo) -> None:
    """A record that was made unreadable is damaged, whatever it is held against."""
    with Maingate.open(landed.path) as maingate, maingate.database.write() as connection:
        drop_triggers(connection)
        change(connection, "UPDATE intents SET commits = 'no JSON'")
        change(connection, "UPDATE runs SET target_ref = 'no ref'")
    assert "intents" in problems(landed)
