"""Hostile and broken patches through whole runs: a clear code, the patch kept, nothing written."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from support.factories import GitRepo
from support.landing import land

FORMAT = {"format_invalid"}
POLICY = {"policy_violation"}
LINES = "".join(f"line {number}\n" for number in range(30))


def edit(path: str, old: str = "one", new: str = "1") -> str:
    """Return a one-line edit of a file that has three lines."""
    header = f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n"
    return f"{header}@@ -1,3 +1,3 @@\n-{old}\n+{new}\n two\n three\n"


def create(path: str, content: str = "evil", mode: str = "100644") -> str:
    """Return the creation of a file of one line."""
    return (
        f"diff --git a/{path} b/{path}\nnew file mode {mode}\n--- /dev/null\n+++ b/{path}\n"
        f"@@ -0,0 +1 @@\n+{content}\n\\ No newline at end of file\n"
    )


SUBMODULE = (
    "diff --git a/sub b/sub\nnew file mode 160000\nindex 0000000..1234567\n--- /dev/null\n+++ b/sub\n"
    "@@ -0,0 +1 @@\n+Subproject commit 1234567890123456789012345678901234567890\n"
)
BINARY = (
    "diff --git a/data.bin b/data.bin\nnew file mode 100644\n"
    "index 0000000000000000000000000000000000000000..e5dbb4bdd19b0d0bd05fd0a8d2d7a4a1b0e8a1d7\n"
    "GIT binary patch\nliteral 3\nKcmZQzWMT#Y01f~L\n\nliteral 0\nHcmV?d00001\n\n"
)

REFUSED: Mapping[str, tuple[str | bytes, set[str]]] = {
    "garbage": ("this is\nno diff at all\n", FORMAT),
    "random bytes": (bytes(range(256)) * 4, FORMAT),
    "empty": ("", {"empty_patch"}),
    "only blank lines": ("\n\n  \n", {"empty_patch"}),
    "cut in the middle of a hunk": (edit("a.txt")[:-8], FORMAT),
    "cut in a header": (edit("a.txt")[:30], FORMAT),
    "byte-order mark before two files": ("\ufeff" + edit("a.txt") + edit("b.txt"), FORMAT),
    "header of a later file garbled": (
        edit("a.txt") + edit("b.txt").replace("diff --git", "dif --git"),
        FORMAT,
    ),
    "later file without its +++ line": (edit("a.txt") + edit("b.txt").replace("+++ b/b.txt\n", ""), FORMAT),
    "later hunk header garbled": (
        edit("a.txt") + edit("b.txt").replace("@@ -1,3 +1,3 @@", "@@ -1,x +1,3 @@"),
        FORMAT,
    ),
    "UTF-16": (edit("a.txt").encode("utf-16"), FORMAT),
    "parent folder": (create("../escaped"), POLICY),
    "parent folder further in": (create("dir/../../escaped"), POLICY),
    "absolute path": ("--- /dev/null\n+++ /escaped-by-maingate\n@@ -0,0 +1 @@\n+evil\n", POLICY | FORMAT),
    ".git/config": (create(".git/config"), POLICY),
    ".GIT in capitals": (create(".GIT/hooks/post-checkout"), POLICY),
    ".git in a folder": (create("dir/.git/config"), POLICY),
    "NTFS stream": (create(".git::$INDEX_ALLOCATION/config"), POLICY),
    "NTFS short name": (create("GIT~1/config"), POLICY),
    "HFS ignorable": (create(".g\u200cit/config"), POLICY),
    ".git with a trailing dot": (create(".git./config"), POLICY),
    "secrets": (create("secrets/key.pem"), POLICY),
    "link to outside": (create("link", "/etc/passwd", "120000"), POLICY),
    "link to the parent's parent": (create("dir/link", "../../outside", "120000"), POLICY),
    "link into .git": (create("link", ".git/config", "120000"), POLICY),
    "write through a link of the same patch": (
        create("way", "dir", "120000") + create("way/in.txt"),
        POLICY | FORMAT | {"conflict"},
    ),
    "write through a link that is there": (create("there/in.txt"), POLICY),
    "submodule": (SUBMODULE, POLICY),
    "binary": (BINARY, POLICY | FORMAT),
    "no base data for a binary": (
        "diff --git a/x.bin b/x.bin\nBinary files a/x.bin and b/x.bin differ\n",
        FORMAT,
    ),
    "wrong context": (edit("a.txt", old="something else"), {"conflict"}),
    "file that is not there": (edit("nowhere.txt"), {"conflict"}),
    "creation of what is there": (create("a.txt"), {"conflict"}),
    "file where a folder is": (create("dir"), {"conflict"}),
    "file below a file": (create("a.txt/below"), {"conflict"}),
    "combined diff": (
        "diff --cc a.txt\nindex 1,2..3\n--- a/a.txt\n+++ b/a.txt\n@@@ -1,1 -1,1 +1,1 @@@\n- x\n -y\n++z\n",
        FORMAT,
    ),
}


@pytest.fixture
def base(repo: GitRepo) -> GitRepo:
    """Give a repository with files, a folder and a symbolic link to it."""
    repo.write(dict.fromkeys(("a.txt", "b.txt", "dir/c.txt"), "one\ntwo\nthree\n"))
    repo.commit({"long.txt": LINES})
    (repo.path / "there").symlink_to("dir")
    repo.commit({}, "base")
    return repo


def snapshot(folder: Path) -> dict[str, bytes]:
    """Read everything that must not change: the work tree, and git's configuration, hooks and refs."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        skipped = name.startswith((".git/objects", ".git/refs/maingate", ".git/maingate", ".git/index"))
        if path.is_file() and not path.is_symlink() and not skipped:
            found[name] = path.read_bytes()
    return found


def test_every_bad_patch_is_refused_with_its_code_and_nothing_is_written(base: GitRepo) -> None:
    """All in one run, each in a workstream of its own (bad input table)."""
    patches = {
        f"p{at}": text if isinstance(text, bytes) else text.encode()
        for at, (text, _) in enumerate(REFUSED.values())
    }
    before, outside = snapshot(base.path), sorted(base.path.parent.iterdir())
    landed = land(base, patches)
    wrong: dict[str, object] = {}
    for at, (name, (_, codes)) in enumerate(REFUSED.items()):
        task = landed.task(f"p{at}/t")
        if task["reason"] is None or task["reason"]["code"] not in codes:
            wrong[name] = (task["state"], task["reason"])
        elif task["patch"]["state"] != "quarantined":
            wrong[name] = task["patch"]
        else:
            kept = base.path / ".git" / "maingate" / "quarantine" / f"{task['patch']['id']}.patch"
            if kept.read_bytes() != patches[f"p{at}"]:
                wrong[name] = "not kept as it came"
    assert wrong == {}
    assert snapshot(base.path) == before
    assert [path for path in sorted(base.path.parent.iterdir()) if path.name != "plan"] == outside
    assert not Path("/escaped-by-maingate").exists()


def test_a_patch_over_the_limit_is_not_read(base: GitRepo) -> None:
    """200 MB are refused by their size; the memory stays flat because the file is never opened."""
    plan = base.path.parent / "plan"
    plan.mkdir()
    with (plan / "huge").open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    landed = land(base, {}, workstreams={"w": {"tasks": {"t": {"patch": "huge"}}}})
    assert landed.code("w/t") == "format_invalid"
    assert "209,715,200" in landed.task("w/t")["reason"]["message"]


@pytest.mark.parametrize(
    ("policy", "files", "code"),
    [
        ({"max_files": 1}, {"a.txt": "1\n", "b.txt": "2\n"}, "policy_violation"),
        ({"max_lines": 3}, {"a.txt": "1\n2\n3\n4\n"}, "policy_violation"),
        ({"allow": ["dir/**"]}, {"a.txt": "1\n"}, "policy_violation"),
        ({"forbid": ["*.txt"]}, {"a.txt": "1\n"}, "policy_violation"),
    ],
)
def test_what_policy_forbids_is_refused(
    base: GitRepo, policy: dict[str, object], files: dict[str, str], code: str
) -> None:
    """Limits and globs of the plan."""
    landed = land(base, {"p": base.diff_of(files)}, policy=policy)
    assert landed.code("p/t") == code


def test_a_patch_outside_its_tasks_scope_is_refused(base: GitRepo) -> None:
    """The scope is what the task may touch."""
    workstreams = {"w": {"tasks": {"t": {"patch": "p", "scope": ["dir/**"]}}}}
    landed = land(base, {"p": base.diff_of({"a.txt": "1\n"})}, workstreams=workstreams)
    assert landed.code("w/t") == "scope_violation"


def low(text: str) -> str:
    """Say one line less in the hunk header than there is."""
    return text.replace("@@ -1,3 +1,3 @@", "@@ -1,2 +1,2 @@")


def high(text: str) -> str:
    """Say two lines more in the hunk header than there are."""
    return text.replace("@@ -1,3 +1,3 @@", "@@ -1,5 +1,5 @@")


@pytest.mark.parametrize(
    ("text", "may_land"),
    [
        pytest.param(low(edit("a.txt")), True, id="too low"),
        pytest.param(high(edit("a.txt")), False, id="too high at the very end: it may have been cut"),
        pytest.param(high(edit("a.txt")) + edit("b.txt"), True, id="too high, and more follows"),
        pytest.param("```diff\n" + high(edit("a.txt")) + "```\n", True, id="too high in a code fence"),
        pytest.param(edit("a.txt").replace("@@ -1,3 +1,3 @@", "@@"), True, id="bare hunk header"),
        pytest.param(
            "Here is my change:\n\n" + edit("a.txt") + "\nHope it helps!\n", True, id="prose around"
        ),
    ],
)
def test_wrong_counts_are_repaired_or_refused_and_never_cut_a_file(
    base: GitRepo, text: str, may_land: bool
) -> None:
    """Either what the author meant, recorded as repaired, or `format_invalid` (bad input table)."""
    landed = land(base, {"p": text.encode()})
    got = base.git("show", "main:a.txt")
    if landed.state == "succeeded":
        assert may_land
        assert got == "1\ntwo\nthree"
    else:
        assert landed.code("p/t") == "format_invalid"
        assert got == "one\ntwo\nthree"


def test_a_low_count_that_would_cut_the_file_lands_whole(base: GitRepo) -> None:
    """`git apply` alone would take the counted part and silently drop the rest."""
    diff = base.diff_of(
        {"long.txt": LINES.replace("line 3\n", "three\n").replace("line 8\n", "eight\n")}
    ).decode()
    header = next(line for line in diff.splitlines() if line.startswith("@@"))
    landed = land(base, {"p": diff.replace(header, "@@ -1,6 +1,6 @@").encode()})
    if landed.state == "succeeded":
        assert base.git("show", "main:long.txt").count("\n") == 29
        assert "eight" in base.git("show", "main:long.txt")
    else:
        assert landed.code("p/t") == "format_invalid"


def test_a_damaged_binary_in_the_middle_lands_nothing(base: GitRepo) -> None:
    """`git apply` exits 0 having dropped that file and all after it."""
    diff = base.diff_of({"a.txt": "1\n", "m.bin": bytes(range(256)) * 9, "z.txt": "z\n"})
    lines = diff.split(b"\n")
    at = lines.index(b"GIT binary patch") + 2
    broken = {
        "flip": [
            *lines[:at],
            lines[at][:9] + (b"A" if lines[at][9:10] != b"A" else b"B") + lines[at][10:],
            *lines[at + 1 :],
        ],
        "gone": [*lines[:at], *lines[at + 1 :]],
        "cut": [*lines[:at], lines[at][:20], *lines[at + 1 :]],
    }
    patches = {name: b"\n".join(text) for name, text in broken.items()}
    landed = land(base, patches, policy={"binary": True})
    assert {name: landed.code(f"{name}/t") for name in patches} == dict.fromkeys(patches, "format_invalid")
    assert base.git("show", "main:a.txt") == "one\ntwo\nthree"


@pytest.mark.parametrize("ending", ["```\n", "-- \n2.30.1\n"])
def test_a_fence_or_a_signature_inside_a_hunk_does_not_end_it_early(base: GitRepo, ending: str) -> None:
    """What follows still belongs to the file: a cut file never lands."""
    head = "diff --git a/R.md b/R.md\nnew file mode 100644\n--- /dev/null\n+++ b/R.md\n@@ -0,0 +1,6 @@\n"
    landed = land(base, {"p": (head + "+# Title\n+\n" + ending + "+code\n+```\n+more\n").encode()})
    assert landed.code("p/t") == "format_invalid"


def test_a_link_that_goes_down_and_up_again_is_refused(base: GitRepo) -> None:
    """Where it leads depends on other paths, which a later patch may change."""
    landed = land(base, {"p": create("x", "dir/../a.txt", "120000").encode()})
    assert landed.code("p/t") == "policy_violation"
