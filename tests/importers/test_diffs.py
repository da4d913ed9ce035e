"""Importers see in a diff what intake sees: paths, kinds of changes, faults, and its place in a text."""

import json
from pathlib import Path
from typing import Final

import pytest

from maingate.importers.diffs import ReadDiff, without_surroundings
from maingate.importers.swebench.options import SwebenchOptions
from maingate.importers.swebench.plans import import_swebench
from maingate.patches.intake import Intake, take_in
from maingate.patches.policy.policy import Policy, judge
from maingate.patches.text.first_diff import parted
from maingate.plan.loader import load_plan
from support.factories import GitRepo


def changed(path: str, hunk: str = "@@ -1 +1 @@\n-x\n+y\n") -> bytes:
    """Return one file's part of a diff."""
    return f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n{hunk}".encode()


B: Final = changed("tests/b.py")
MOVED: Final = (
    b"diff --git a/tests/old.py b/tests/new.py\nsimilarity index 100%\n"
    b"rename from tests/old.py\nrename to tests/new.py\n"
)
QUOTED: Final = (
    b'diff --git "a/t\\303\\251\\377\\n.py" "b/t\\303\\251\\377\\n.py"\n'
    b'--- "a/t\\303\\251\\377\\n.py"\n+++ "b/t\\303\\251\\377\\n.py"\n@@ -1 +1 @@\n-x\n+y\n'
)
BINARY: Final = (
    b"diff --git a/tests/x.bin b/tests/x.bin\nnew file mode 100644\n"
    b"index 0000000000000000000000000000000000000000..f76dd238ade08917e6712764a16a22005a50573d\n"
    b"GIT binary patch\nliteral 1\nIcmZPo000310RR91\n\n"
)
READ: Final = {
    "count_too_high": (changed("tests/a.py", "@@ -1,9 +1,9 @@\n-x\n+y\n") + B, ["tests/a.py", "tests/b.py"]),
    "count_too_low": (
        changed("tests/a.py", "@@ -1 +1 @@\n-x\n-y\n+z\n+y\n") + B,
        ["tests/a.py", "tests/b.py"],
    ),
    "text_like_headers": (
        changed("tests/a.py", "@@ -1,2 +1,2 @@\n--- a/no\n+++ b/no\n c\n") + B,
        ["tests/a.py", "tests/b.py"],
    ),
    "prose_around": (
        b"Some words.\n" + changed("tests/a.py") + b"\nMore words.\n\n" + B + b"\nThe end.\n",
        ["tests/a.py", "tests/b.py"],
    ),
    "renamed": (MOVED + B, ["tests/old.py", "tests/new.py", "tests/b.py"]),
    "quoted": (QUOTED, [b"t\xc3\xa9\xff\n.py"]),
    "glob_letters": (changed("tests/[a]*?!#\\x.py"), ["tests/[a]*?!#\\x.py"]),
    "binary": (BINARY + B, ["tests/x.bin", "tests/b.py"]),
    "mode_only": (
        b"diff --git a/tests/run b/tests/run\nold mode 100644\nnew mode 100755\n",
        ["tests/run"],
    ),
    "deleted": (
        b"diff --git a/a.py b/a.py\ndeleted file mode 100644\n--- a/a.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n",
        ["a.py"],
    ),
    "count_hides_an_added_line": (
        b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n+++ b/z\n",
        ["x"],
    ),
    "traditional": (b"--- tests/a.py.orig\n+++ tests/a.py\n@@ -1 +1 @@\n-x\n+y\n", ["tests/a.py"]),
}
REFUSED: Final = {
    "no_diff": b"no diff at all\n",
    "empty": b"",
    "cut_header": b"diff --git a/tests/a.py b/tests/a.py\nindex 1234567..89abcde 100644\n",
    "header_alone": b"--- a/tests/a.py\n+++ b/tests/a.py\n\n" + B,
    "binary_without_data": (
        b"diff --git a/x b/x\nindex 1234567..89abcde 100644\nBinary files a/x and b/x differ\n"
    ),
}


def as_bytes(path: str | bytes) -> bytes:
    """Return a path of the table as bytes."""
    return path.encode() if isinstance(path, str) else path


@pytest.mark.parametrize(("diff", "paths"), READ.values(), ids=READ)
def test_the_paths_of_a_diff_are_those_that_intake_sees(diff: bytes, paths: list[str | bytes]) -> None:
    """Old and new names, in the order of the text, however the diff states them."""
    assert ReadDiff(diff).paths == [as_bytes(path) for path in paths]
    taken = take_in(diff, max_bytes=10_000)
    assert isinstance(taken, Intake)
    assert set(ReadDiff(diff).paths) == set(taken.scope.paths)
    assert ReadDiff(diff).fault is None


@pytest.mark.parametrize("diff", REFUSED.values(), ids=REFUSED)
def test_a_diff_that_intake_refuses_has_its_fault_and_no_paths(diff: bytes) -> None:
    """No part of a damaged diff counts."""
    assert ReadDiff(diff).fault is not None
    assert ReadDiff(diff).paths == []
    assert ReadDiff(diff).permissions == {}


@pytest.mark.parametrize("name", READ)
def test_a_prediction_may_touch_no_path_of_the_test_patch(tmp_path: Path, name: str) -> None:
    """The plan's policy refuses a patch of each path that intake sees in the test patch, and of no other."""
    tests = READ[name][0]
    judged = imported(tmp_path, [tests])
    task = load_plan(judged[0]).plan.workstreams["i-0"].tasks["prediction"]
    assert task.policy is not None
    forbidden = Policy(binary=True).tightened(task.policy)
    patch, other = take_in(tests, max_bytes=10_000), take_in(changed("src/a.py"), max_bytes=10_000)
    assert isinstance(patch, Intake)
    assert isinstance(other, Intake)
    kept = [
        reason
        for reason in judge(forbidden, patch, scope=None, origin="ready", entry_at=lambda _: None)
        if reason.detail["rule"] == "forbid"
    ]
    assert len(kept) == len(patch.scope.paths)
    assert judge(forbidden, other, scope=None, origin="ready", entry_at=lambda _: None) == []


def test_an_instance_whose_tests_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    """Its tests are unknown, so no policy can guard them; the other instances are imported."""
    source, options = a_benchmark(tmp_path, [B, REFUSED["header_alone"]])
    made = import_swebench(source, out=tmp_path / "plans", options=options)
    assert [plan.name for plan in made.plans] == ["i-0.yaml"]
    fault = "line 1: a `---`/`+++` header has no hunks: the text was truncated"
    assert made.skipped == (f"i-1 (its test patch cannot be read: {fault})",)


def test_the_paths_of_a_diff_by_git_are_old_and_new_ones(repo: GitRepo) -> None:
    """Changed, made, deleted, moved, binary and odd names, as git writes them."""
    repo.commit(
        {"a b.py": "1\n2\n3\n", "gone.py": "x\n", "old.py": "1\n" * 30, "bin": b"\0\1", "é.py": "1\n"}
    )
    base = repo.head()
    repo.git("mv", "old.py", "new.py")
    repo.commit({"a b.py": "1\n2\n4\n", "gone.py": None, "made\t.py": "", "bin": b"\0\2", "é.py": "2\n"})
    diff = repo.git_bytes("diff", "-M", "--binary", base, "HEAD")
    assert sorted(path.decode() for path in ReadDiff(diff).paths) == [
        "a b.py",
        "bin",
        "gone.py",
        "made\t.py",
        "new.py",
        "old.py",
        "é.py",
    ]


@pytest.mark.parametrize(
    ("diff", "permissions"),
    [
        (B, {}),
        (BINARY, {"binary": True}),
        (changed("x.py", "@@ -1 +1 @@\n-GIT binary patch\n+new file mode 160000\n"), {}),
        (changed(".gitmodules"), {"submodules": True}),
        (
            BINARY + b"diff --git a/lib b/lib\nnew file mode 160000\nindex 0000000..1234567\n"
            b"--- /dev/null\n+++ b/lib\n@@ -0,0 +1 @@\n+Subproject commit " + b"1234567" * 5 + b"12345\n",
            {"binary": True, "submodules": True},
        ),
    ],
    ids=["text", "binary", "words", "modules_file", "both"],
)
def test_permissions_are_those_that_the_policy_would_refuse_without(
    diff: bytes, permissions: dict[str, bool]
) -> None:
    """The same rules judge the patch later."""
    assert ReadDiff(diff).permissions == permissions


@pytest.mark.parametrize(
    ("words", "diff"),
    [
        (b"Words.\n--- expected\nmore\n---\n", B),
        (b"diff -u is what I ran\nas said\nIndex: of it\n\ndiff --git is git's own\nas said\n", B),
        (b"", b"--- a/x\n+++ b/x\n\n" + B),
        (b"Why.\n", b"Index: x\n=====\n--- x\n+++ x\n@@ -1 +1 @@\n-a\n+b\n"),
        (b"only words\n", b""),
    ],
    ids=["rule", "commands", "header_alone", "svn", "none"],
)
def test_words_end_where_intake_sees_a_diff_begin(words: bytes, diff: bytes) -> None:
    """A header without hunks is part of the diff, so that intake refuses it."""
    assert parted(words + diff) == (words, diff)


@pytest.mark.parametrize("end", [b"-- \n2.40.0\n\n", b"-- \r\n2.40.0\r\n", b"-- \n2.40.0.windows.1"])
def test_gits_signature_is_no_part_of_a_diff(end: bytes) -> None:
    """It ends a mail that git wrote."""
    assert without_surroundings(b" a | 2 +-\n\n" + B + end) == B


@pytest.mark.parametrize("end", [b"-- \n", b"-- \nwords\n", b"-- \n+2.40.0\n", b"2.40.0\n"])
def test_other_lines_at_the_end_stay(end: bytes) -> None:
    """``-- `` may be a deleted line; intake judges it."""
    assert without_surroundings(B + end) == B + end


def imported(folder: Path, tests: list[bytes]) -> list[Path]:
    """Import a benchmark; return its plans."""
    source, options = a_benchmark(folder, tests)
    return list(import_swebench(source, out=folder / "plans", options=options).plans)


def a_benchmark(folder: Path, tests: list[bytes]) -> tuple[Path, SwebenchOptions]:
    """Write a prediction and an instance for each test patch; return the predictions and the options."""
    predictions, instances = folder / "predictions.json", folder / "instances.json"
    given = [
        {"instance_id": f"i-{number}", "model_patch": changed("f.py").decode(), "model_name_or_path": "m"}
        for number in range(len(tests))
    ]
    known = [
        {
            "instance_id": f"i-{number}",
            "repo": "o/r",
            "base_commit": "a" * 40,
            "test_patch": diff.decode(),
            "FAIL_TO_PASS": ["t"],
            "PASS_TO_PASS": [],
        }
        for number, diff in enumerate(tests)
    ]
    predictions.write_text(json.dumps(given), encoding="utf-8")
    instances.write_text(json.dumps(known), encoding="utf-8")
    return predictions, SwebenchOptions(instances=instances)
