"""Patches, repositories and machines that mean no good: nothing lands in part and nothing runs."""

import os
import random
import stat
import threading
from pathlib import Path

import pytest

from maingate.errors import GitError
from maingate.git.repository import Repository
from maingate.patches.apply.outcomes import Applied, ApplyMethod, NotApplied
from maingate.patches.intake import Intake, take_in
from maingate.reasons import Reason, ReasonCode
from support.applying import apply_patch
from support.factories import GitRepo

LINES = "".join(f"line {n}\n" for n in range(1, 41))
BINARY = bytes(random.Random(1).randbytes(3000))


@pytest.fixture(name="opened")
def _opened(repo: GitRepo) -> Repository:
    repo.commit({"a.txt": LINES, "b.txt": LINES.upper(), "c.txt": "c\n"}, "base")
    return Repository.open(repo.path)


@pytest.fixture(name="three_files")
def _three_files(repo: GitRepo, opened: Repository) -> bytes:
    """Return a diff of an empty file, a text, a binary and another text file."""
    assert opened
    return repo.diff_of(
        {"EMPTY": "", "a.txt": LINES.replace("line 9", "nine"), "b.bin": BINARY, "c.txt": "C\n"}
    )


def taken(diff: bytes) -> Intake:
    """Take in a diff that has to be acceptable."""
    intake = take_in(diff, max_bytes=1 << 20)
    assert isinstance(intake, Intake), intake
    return intake


def code_of(outcome: Applied | NotApplied) -> ReasonCode:
    """Return the code of a refusal, which the outcome has to be."""
    assert isinstance(outcome, NotApplied), outcome
    return outcome.reason.code


def program(path: Path, trace: Path) -> Path:
    """Write a program that leaves a trace when it runs."""
    path.write_text(f"#!/bin/sh\necho ran >> {trace}\ncat\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


# git takes a part and exits 0


def damage_in_front(text: bytes) -> bytes:
    """Write a byte-order mark before the text: git drops the first file."""
    return b"\xef\xbb\xbf" + text


def damage_binary(text: bytes) -> bytes:
    """Break a line of the binary data: git drops that file and all after it."""
    lines = text.splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if line.startswith(b"literal ")) + 3
    return b"".join([*lines[:at], b"z$$$\n", *lines[at + 1 :]])


def damage_cut(text: bytes) -> bytes:
    """End the text inside the binary data."""
    return text[: text.index(b"literal ") + 400]


def damage_header(text: bytes) -> bytes:
    """Garble the header of the last file: git takes it for rubbish between patches."""
    return text.replace(b"diff --git a/c.txt", b"d1ff --g1t a/c.txt").replace(b"--- a/c.txt", b"-=- a/c.txt")


def damage_lost_file(text: bytes) -> bytes:
    """Lose a file altogether."""
    return text[: text.index(b"diff --git a/c.txt")]


DAMAGES = [damage_in_front, damage_binary, damage_cut, damage_header, damage_lost_file]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_what_git_did_is_held_against_the_text(
    repo: GitRepo, opened: Repository, three_files: bytes, monkeypatch: pytest.MonkeyPatch, damage: object
) -> None:
    """Should damage reach git unseen, a result that is a part of the patch is found out and refused."""
    assert callable(damage)
    intake = taken(three_files)
    whole = Intake.render
    monkeypatch.setattr(Intake, "render", lambda self: damage(whole(self)))
    assert code_of(apply_patch(opened, repo.tree(), intake)) is ReasonCode.FORMAT_INVALID


@pytest.mark.parametrize("damage", DAMAGES[:-1], ids=lambda damage: damage.__name__)
def test_damage_never_lands_in_part(
    repo: GitRepo, opened: Repository, three_files: bytes, damage: object
) -> None:
    """From the outside: a damaged text is refused, or understood in full with the repair recorded."""
    assert callable(damage)
    whole = apply_patch(opened, repo.tree(), taken(three_files))
    intake = take_in(damage(three_files), max_bytes=1 << 20)
    if isinstance(intake, Reason):
        assert intake.code is ReasonCode.FORMAT_INVALID
        return
    outcome = apply_patch(opened, repo.tree(), intake)
    if isinstance(outcome, Applied):
        assert isinstance(whole, Applied)
        assert (outcome.tree, bool(intake.repairs)) == (whole.tree, True)


def test_binary_data_is_read_though_git_does_not(repo: GitRepo, opened: Repository) -> None:
    """When the stated result is in the object store git never looks at the data; here it has to agree."""
    opened.write_blob(BINARY)
    other = bytes(reversed(BINARY))
    named = repo.diff_of({"b.bin": BINARY}).split(b"index ", 1)[1].split(b"\n", 1)[0]
    diff = repo.diff_of({"b.bin": other})
    forged = diff.replace(diff.split(b"index ", 1)[1].split(b"\n", 1)[0], named)
    intake = take_in(forged, max_bytes=1 << 20)
    if isinstance(intake, Intake):
        assert code_of(apply_patch(opened, repo.tree(), intake)) is ReasonCode.FORMAT_INVALID
    else:
        assert intake.code is ReasonCode.FORMAT_INVALID


def test_random_damage_never_lands_another_files_change(
    repo: GitRepo, opened: Repository, three_files: bytes
) -> None:
    """With any bytes lost, doubled or changed, a landed patch touches only paths that the text names."""
    chance = random.Random(7)
    base = repo.tree()
    for _ in range(60):
        at, length = chance.randrange(len(three_files)), chance.randrange(1, 40)
        replacement = chance.choice(
            [b"", bytes(chance.randbytes(length)), three_files[at : at + length] * 2, b"\n"]
        )
        intake = take_in(three_files[:at] + replacement + three_files[at + length :], max_bytes=1 << 20)
        if isinstance(intake, Reason):
            continue
        outcome = apply_patch(opened, base, intake)
        if isinstance(outcome, Applied):
            changed = opened.changed_paths(base, outcome.tree)
            assert set(changed) <= set(intake.scope.paths)
            assert all(entry is None or opened.has_object(entry.id) for _, entry in changed.values())


@pytest.mark.parametrize("counts", [b"-1,3 +1,3", b"-1,9 +1,9", b"-1,40 +1,2", b"-1,7 +1,6"])
def test_wrong_counts_never_truncate(repo: GitRepo, opened: Repository, counts: bytes) -> None:
    """A hunk with wrong counts lands as its author meant, or not at all; no line beside it is lost."""
    diff = repo.diff_of({"a.txt": LINES.replace("line 4\n", "four\n")})
    assert diff.count(b"@@ -1,7 +1,7 @@") == 1
    intake = take_in(diff.replace(b"-1,7 +1,7", counts), max_bytes=1 << 20)
    if isinstance(intake, Reason):
        return
    outcome = apply_patch(opened, repo.tree(), intake)
    if isinstance(outcome, Applied):
        blob = opened.blob_at(outcome.tree, b"a.txt")
        assert blob is not None
        assert blob.data.decode() == LINES.replace("line 4\n", "four\n")
        assert outcome.repairs


# where a patch must not go


def new_file(path: str) -> bytes:
    """Return a diff that adds a file of one line."""
    head = f"diff --git a/{path} b/{path}\nnew file mode 100644\n"
    return f"{head}--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x\n".encode()


@pytest.mark.parametrize("path", ["../out", ".git/config", ".GIT/hooks/x", "/etc/passwd", "a/../../x"])
def test_paths_outside_are_refused_here_too(repo: GitRepo, opened: Repository, path: str) -> None:
    """Policy refuses these first; should it not be asked, nothing is made all the same."""
    intake = take_in(new_file(path), max_bytes=1 << 20)
    if isinstance(intake, Intake):
        assert code_of(apply_patch(opened, repo.tree(), intake)) is ReasonCode.FORMAT_INVALID


def test_nothing_is_written_through_a_symbolic_link(
    repo: GitRepo, opened: Repository, tmp_path: Path
) -> None:
    """A path below a symbolic link of the base, or one that the patch makes, is not followed."""
    (repo.path / "link").symlink_to(tmp_path)
    repo.commit({})
    below = new_file("link/x")
    made = (
        new_file("new").replace(b"100644", b"120000") + b"\\ No newline at end of file\n" + new_file("new/x")
    )
    for text in (below, made):
        intake = take_in(text, max_bytes=1 << 20)
        if isinstance(intake, Intake):
            assert code_of(apply_patch(opened, repo.tree(), intake)) is ReasonCode.CONFLICT
    assert not (tmp_path / "x").exists()


def test_names_that_look_like_messages_mislead_nobody(repo: GitRepo, opened: Repository) -> None:
    """A file may be called like an error of git; a conflict in it stays a conflict."""
    for name in ("fatal: x", "unable to create temporary file", "error: corrupt patch", "Checking patch a"):
        diff = repo.diff_of({name: "x\n"})
        repo.commit({name: "mine\n"})
        assert code_of(apply_patch(opened, repo.tree(), taken(diff))) is ReasonCode.CONFLICT


# a repository that would run programs


def test_all_configuration_but_merge_drivers_changes_nothing_and_runs_nothing(
    repo: GitRepo, opened: Repository, tmp_path: Path
) -> None:
    """Filters, hooks, whitespace rules, replaced objects: neither asked nor obeyed."""
    evil = program(tmp_path / "evil", tmp_path / "ran")
    exact = repo.diff_of({"a.txt": LINES.replace("line 9\n", "nine  \n")})
    merged = repo.diff_of({"b.txt": LINES.upper().replace("LINE 20\n", "twenty\n")})
    expected = "first\n" + LINES.upper().replace("LINE 20\n", "twenty\n")
    repo.commit({"b.txt": "first\n" + LINES.upper()})
    (repo.path / ".git/info").mkdir(exist_ok=True)
    (repo.path / ".git/info/attributes").write_text("* filter=evil diff=evil text eol=crlf\n")
    (repo.path / ".gitattributes").write_text("* filter=evil\n")
    for name, value in {
        "filter.evil.clean": str(evil),
        "filter.evil.smudge": str(evil),
        "diff.evil.textconv": str(evil),
        "core.fsmonitor": str(evil),
        "core.hooksPath": str(tmp_path),
        "apply.whitespace": "error-all",
        "core.whitespace": "trailing-space,cr-at-eol",
        "core.autocrlf": "true",
        "merge.conflictStyle": "zdiff3",
        "rerere.enabled": "true",
        "index.version": "4",
        "core.splitIndex": "true",
    }.items():
        repo.git("config", name, value)
    for hook in ("post-index-change", "reference-transaction", "pre-applypatch"):
        (tmp_path / hook).symlink_to(evil)
    one = apply_patch(opened, repo.tree(), taken(exact))
    two = apply_patch(opened, repo.tree(), taken(merged))
    assert isinstance(one, Applied)
    assert isinstance(two, Applied)
    blob = opened.blob_at(two.tree, b"b.txt")
    assert blob is not None
    assert (one.method, two.method, blob.data.decode()) == (
        ApplyMethod.EXACT,
        ApplyMethod.THREE_WAY,
        expected,
    )
    assert not (tmp_path / "ran").exists()
    assert not (repo.path / ".git/rr-cache").exists()


def test_replaced_objects_are_not_believed(repo: GitRepo, opened: Repository) -> None:
    """`git replace` substitutes one object for another; the result is made of the real ones."""
    diff = repo.diff_of({"a.txt": LINES.replace("line 9\n", "nine\n")})
    fake = opened.write_blob(LINES.replace("line 1\n", "fake\n").encode())
    repo.git("replace", repo.git("rev-parse", "HEAD:a.txt"), fake)
    outcome = apply_patch(opened, repo.tree(), taken(diff))
    assert isinstance(outcome, Applied)
    blob = opened.blob_at(outcome.tree, b"a.txt")
    assert blob is not None
    assert blob.data.decode() == LINES.replace("line 9\n", "nine\n")


# a machine that fails


def test_a_full_or_broken_disk_blames_no_patch(repo: GitRepo, opened: Repository) -> None:
    """When git cannot write the result it is an outside fault, not a conflict."""
    content = LINES.replace("line 9\n", "nine\n")
    diff = repo.diff_of({"a.txt": content})
    repo.git("gc", "-q", "--prune=now", "--aggressive")
    blob = repo.git("hash-object", "--stdin", stdin=content.encode())
    repo.git("reflog", "expire", "--expire=now", "--all")
    repo.git("gc", "-q", "--prune=now")
    (repo.path / ".git/objects" / blob[:2]).write_text("a file where a directory has to be")
    with pytest.raises(GitError, match="unable to"):
        apply_patch(opened, repo.tree(), taken(diff))


@pytest.mark.parametrize("script", ["kill -9 $$", "echo 'fatal: out of memory' >&2; exit 128", "exit 1"])
def test_a_git_that_dies_blames_no_patch(
    repo: GitRepo, opened: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    """Killed, out of memory, or failing without a word: the patch may be fine, so it is not judged."""
    intake, tree = taken(repo.diff_of({"c.txt": "x\n"})), repo.tree()
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(GitError):
        apply_patch(opened, tree, intake)


def test_a_base_with_missing_objects_blames_no_patch(repo: GitRepo, opened: Repository) -> None:
    """A file of the base that is not in the object store is the repository's damage."""
    intake, tree = taken(repo.diff_of({"c.txt": "x\n"})), repo.tree()
    blob = repo.git("rev-parse", "HEAD:c.txt")
    (repo.path / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(GitError):
        apply_patch(opened, tree, intake)


def test_threads_apply_in_parallel(repo: GitRepo, opened: Repository) -> None:
    """One repository serves many threads: every patch gives its own tree, as if it were alone."""
    tree = repo.tree()
    intakes = [taken(repo.diff_of({"a.txt": LINES.replace(f"line {n}\n", f"{n}\n")})) for n in range(1, 9)]
    alone = [apply_patch(opened, tree, intake) for intake in intakes]
    together: dict[int, Applied | NotApplied] = {}

    def work(number: int) -> None:
        together[number] = apply_patch(opened, tree, intakes[number])

    threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[number] for number in range(8)] == alone
    assert all(isinstance(outcome, Applied) for outcome in alone)
