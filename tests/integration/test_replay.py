"""A history with every kind of change, exported and landed again: the same final tree, byte for byte."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from maingate.bootstrap import Maingate
from maingate.importers.series.series import ImportOptions, import_series
from maingate.plan.choices import LandingStyle
from maingate.plan.loader import load_plan
from support.factories import GitRepo
from support.landing import Landed

ODD_NAMES = [
    b"with space",
    b'quo"te',
    b"tab\there",
    b"new\nline",
    b"b\\ackslash",
    b"caf\xe9.txt",
    "naïve/ü".encode(),
]


@pytest.fixture
def history(tmp_path: Path) -> GitRepo:
    """Make the history; its first commit is tagged ``start``."""
    repo = GitRepo.create(tmp_path / "upstream")
    repo.git("config", "core.autocrlf", "false")
    text = "".join(f"line {number}\n" for number in range(40))
    repo.commit(
        {
            "text.txt": text,
            "gone.txt": text + "gone\n",
            "run.sh": "#!/bin/sh\n",
            "crlf.txt": "a\r\nb\r\nc\r\n",
        }
    )
    repo.git("tag", "start")
    for change in _changes(text):
        change(repo)
    return repo


def _changes(text: str) -> Sequence[Callable[[GitRepo], object]]:  # noqa: C901 - a list, not a logic
    """List the changes, a commit each."""

    def move(repo: GitRepo) -> None:
        repo.git("mv", "text.txt", "moved.txt")
        repo.commit({"moved.txt": text.replace("line 7\n", "line seven\n")}, "rename with an edit")

    def copy(repo: GitRepo) -> None:
        repo.commit({"copy.txt": text, "moved.txt": text}, "copy, and its source edited")

    def make_executable(repo: GitRepo) -> None:
        (repo.path / "run.sh").chmod(0o755)
        repo.commit({}, "mode change alone")

    def link(repo: GitRepo) -> None:
        (repo.path / "link").symlink_to("moved.txt")
        repo.commit({}, "symbolic link inside the repository")

    def become_file(repo: GitRepo) -> None:
        (repo.path / "link").unlink()
        repo.commit({"link": "now a file\n"}, "type change")

    def odd(repo: GitRepo) -> None:
        for name in ODD_NAMES:
            path = repo.path / os.fsdecode(name)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"odd " + name + b"\n")
        repo.commit({}, "odd names")

    def odd_again(repo: GitRepo) -> None:
        for name in ODD_NAMES:
            with (repo.path / os.fsdecode(name)).open("ab") as file:
                file.write(b"again\n")
        repo.commit({}, "odd names, edited")

    def branch_and_merge(repo: GitRepo) -> None:
        repo.git("checkout", "-q", "-b", "side")
        repo.commit({"side.txt": "1\n"}, "on the side")
        repo.commit({"side.txt": "1\n2\n"}, "on the side again")
        repo.git("checkout", "-q", "main")
        repo.commit({"main.txt": "m\n"}, "meanwhile")
        repo.git("merge", "-q", "--no-ff", "-m", "a merge", "side")

    binary = bytes(range(256)) * 20
    return [
        move,
        copy,
        lambda repo: repo.commit({"gone.txt": None}, "deletion"),
        make_executable,
        lambda repo: repo.commit({"data.bin": binary, "small.bin": b"\0\1\2"}, "binary files"),
        lambda repo: repo.commit({"data.bin": binary[:3000] + b"!" + binary[3000:]}, "binary delta"),
        lambda repo: repo.commit({"data.bin": None}, "binary deletion"),
        lambda repo: repo.commit({"crlf.txt": "a\r\nB\r\nc\r\n"}, "CRLF content"),
        lambda repo: repo.commit({"crlf.txt": "a\nB\r\nc\n"}, "mixed line ends"),
        lambda repo: repo.commit({"end.txt": "no newline"}, "no newline at end"),
        lambda repo: repo.commit({"end.txt": "no newline\nyet"}, "still none"),
        lambda repo: repo.commit({"end.txt": "no newline\nyet\n"}, "one now"),
        lambda repo: repo.commit({"empty.txt": "", "deep/er/empty": ""}, "empty files"),
        lambda repo: repo.commit({"empty.txt": "full\n"}, "not empty any more"),
        lambda repo: repo.commit({"latin.txt": "na\xefve\n".encode("latin-1")}, "not UTF-8"),
        lambda repo: repo.commit({"latin.txt": "na\xefver\n".encode("latin-1")}, "still not UTF-8"),
        lambda repo: repo.commit({"diff.txt": "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"}, "text like a diff"),
        lambda repo: repo.commit(
            {"diff.txt": "+++ b/x\n@@ -1 +1 @@\n+b\n-- \n"}, "diff --git a/x b/x\n\n---\n@@"
        ),
        lambda repo: repo.commit({"form\x0cfeed.txt": "a\x0cb\rc\u2028d\n"}, "odd line breaks"),
        link,
        become_file,
        odd,
        odd_again,
        branch_and_merge,
        lambda repo: repo.commit({"a": "file\n"}, "a file"),
        lambda repo: (repo.git("rm", "-q", "a"), repo.commit({"a/b": "dir\n"}, "that becomes a directory")),
    ]


def _import(history: GitRepo, how: str, folder: Path) -> str:
    """Export the history in one of the ways and return the importer's source."""
    span = "start..main"
    if how == "range":
        return span
    if how == "folder":
        out = folder / "out"
        history.git("format-patch", "-q", "-o", str(out), "--full-index", span, "--first-parent", "-M", "-C")
        return str(out)
    mailbox = folder / "series.mbox"
    mailbox.write_bytes(history.git_bytes("format-patch", "-q", "--stdout", "--binary", span))
    return str(mailbox)


@pytest.mark.parametrize("style", ["merge", "rebase"])
def test_a_range_of_history_lands_byte_exact(history: GitRepo, tmp_path: Path, style: str) -> None:
    """Every commit of the range, merges as first-parent diffs, gives upstream's final tree."""
    landed = _replay(history, "start..main", tmp_path, style)
    assert landed.state == "succeeded", [task for task in landed.report["tasks"] if task["reason"]]
    assert landed.report["target"]["tree"] == history.tree("main")
    assert {task["patch"]["state"] for task in landed.report["tasks"]} == {"committed"}


def test_messages_authors_and_dates_are_kept(history: GitRepo, tmp_path: Path) -> None:
    """What a commit said and who wrote it when is on the new commit too."""
    landed = _replay(history, "start..main", tmp_path, "rebase")
    wanted = history.git("log", "--first-parent", "--reverse", "--format=%an%ae%at%s", "start..main")
    assert landed.repo.git("log", "--reverse", "--format=%an%ae%at%s", "start..main") == wanted


@pytest.mark.parametrize("how", ["folder", "mailbox"])
def test_what_format_patch_writes_lands_byte_exact(history: GitRepo, tmp_path: Path, how: str) -> None:
    """Without merges, which format-patch leaves out: the side branch's commits come in their place."""
    history.git("reset", "-q", "--hard", "main~3^1")
    landed = _replay(history, _import(history, how, tmp_path), tmp_path, "merge")
    assert landed.state == "succeeded", [task for task in landed.report["tasks"] if task["reason"]]
    assert landed.report["target"]["tree"] == history.tree("main")


def _replay(history: GitRepo, source: str, folder: Path, style: str) -> Landed:
    """Import from the history and land on a clone that stands at its start."""
    clone = GitRepo(folder / "clone")
    history.git("clone", "-q", "--no-local", str(history.path), str(clone.path))
    clone.git("reset", "-q", "--hard", "start")
    plan = folder / "plan" / "plan.yaml"
    plan.parent.mkdir()
    imported = import_series(
        source, out=plan, repo=history.path, options=ImportOptions(landing=LandingStyle(style))
    )
    plan.write_text(f"repo: {clone.path}\n" + imported.path.read_text())
    loaded = load_plan(plan)
    with Maingate.for_plan(loaded) as maingate:
        run_id = maingate.admission.admit(loaded)
        maingate.execution.execute(run_id, workers=2)
        return Landed(maingate.report(run_id), clone)
