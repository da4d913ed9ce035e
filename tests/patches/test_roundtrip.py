"""Properties over random trees and real diffs: the author's tree lands, damage never as another change."""

import re
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from maingate.patches.intake import take_in
from maingate.patches.model import ChangeKind, FileChange, patched
from maingate.patches.repair_record import RepairKind
from maingate.reasons import Reason
from support.diff_world import MAX_BYTES, DiffWorld, Tree, taken
from support.examples import examples

NAMES = [b"a", b"dir/x", b"dir/y z", b'q"uote', b"t\tab", b"n\nl", b"\xff", b"b/b", b"x b/x", b"deep/er/f"]
LINES = [
    b"one",
    b"two",
    b"",
    b"-- foo",
    b"++ bar",
    b"@@ x",
    b" in",
    b"diff --git a/q b/q",
    b"\xff",
    b"- ",
    b"```",
    b"}",
]
SYNTAX = [
    *(b"diff --git a/f b/f", b"index 1234567..89abcde 100644", b"new file mode 100644", b"rename from f"),
    *(b"--- a/f", b"+++ b/f", b"--- /dev/null", b"@@ -1 +1 @@", b"@@", b"+x", b"-x", b" x"),
    *(b"\\ No newline at end of file", b"GIT binary patch", b"literal 3", b"Kc$@)", b"\r", b"\0"),
    *(b"From: a <a@b.c>", b"Subject: s", b"-- ", b"2.39.5"),
]
OPTIONS = [
    ["-U0"],
    ["-U1", "--full-index"],
    ["-U3", "-M"],
    ["-U5", "-C", "--find-copies-harder"],
    ["--no-renames"],
    ["--no-prefix"],
    ["--src-prefix=i/", "--dst-prefix=w/", "-U2"],
    ["--patience", "-W"],
]
PROPERTY = settings(
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> DiffWorld:
    """Return a repository that all examples share."""
    return DiffWorld.create(tmp_path_factory.mktemp("roundtrip") / "w")


@st.composite
def contents(draw: st.DrawFn) -> bytes:
    """Draw a file's content: mostly lines that look like diff syntax, sometimes CRLF or binary."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=60)) + b"\0"
    ending = draw(st.sampled_from([b"\n", b"\n", b"\r\n"]))
    lines = draw(st.lists(st.sampled_from(LINES), max_size=25))
    return ending.join(lines) + draw(st.sampled_from([ending, ending, b""]))


@st.composite
def edited(draw: st.DrawFn, content: bytes) -> bytes:
    """Draw a content that a few edits of lines make of another."""
    lines = content.split(b"\n")
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(lines)))
        lines[at : at + draw(st.integers(0, 2))] = draw(
            st.lists(st.sampled_from([*LINES, b"new"]), max_size=2)
        )
    return b"\n".join(lines)


@st.composite
def trees(draw: st.DrawFn) -> tuple[Tree, Tree]:
    """Draw a base and an author's tree: edits, moves, copies, modes, links, new and gone files."""
    base: dict[bytes, tuple[str, bytes]] = {}
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True)):
        base[name] = draw(st.sampled_from(["100644", "100644", "100755"])), draw(contents())
    new: dict[bytes, tuple[str, bytes]] = {}
    for name, (mode, content) in base.items():
        fate = draw(st.sampled_from(["edit", "edit", "edit", "keep", "move", "copy", "mode", "link", "drop"]))
        if fate == "link":
            new[name] = ("120000", b"somewhere")
        elif fate != "drop":
            place = draw(st.sampled_from(NAMES)) if fate == "move" else name
            flipped = {"100644": "100755", "100755": "100644"}[mode]
            new[place] = (
                flipped if fate == "mode" else mode,
                content if fate in ("keep", "mode") else draw(edited(content)),
            )
            if fate == "copy":
                new[draw(st.sampled_from(NAMES))] = mode, content
    if draw(st.booleans()):
        new[draw(st.sampled_from(NAMES))] = "100644", draw(contents())
    return base, new


@dataclass(frozen=True)
class Authored:
    """A diff with the trees it was made of."""

    base: str
    new: str
    raw: bytes


def author(world: DiffWorld, pair: tuple[Tree, Tree], options: list[str]) -> Authored:
    """Write both trees and let git make the diff."""
    base, new = world.tree(pair[0]), world.tree(pair[1])
    assume(base != new)
    return Authored(base, new, world.diff(base, new, *options))


@PROPERTY
@given(pair=trees(), options=st.sampled_from(OPTIONS))
def test_every_diff_of_git_lands_as_its_author_meant(
    world: DiffWorld, pair: tuple[Tree, Tree], options: list[str]
) -> None:
    """With any options of the diff, its application after intake gives the author's tree."""
    made = author(world, pair, options)
    intake = taken(made.raw)
    assert {repair.kind for repair in intake.repairs} <= {RepairKind.PREFIX}  # `--src-prefix=i/` is one
    assert world.landed(made.base, made.raw) == made.new
    if not intake.needs_base and "--no-prefix" not in options and "--src-prefix=i/" not in options:
        assert intake.render() == made.raw


@PROPERTY
@given(pair=trees(), share=st.floats(0, 1, exclude_max=True), options=st.sampled_from(OPTIONS[:5]))
def test_a_cut_never_lands_a_part_of_a_hunk(
    world: DiffWorld, pair: tuple[Tree, Tree], share: float, options: list[str]
) -> None:
    """A text cut at any byte is refused, or lands only whole hunks.

    Every file of the result is the base's or the author's, or has the first hunks of its change: a cut
    between hunks leaves a complete text, and so does one before a no-newline marker.
    """
    made = author(world, pair, options)
    result = world.landed(made.base, made.raw[: int(len(made.raw) * share)])
    if result is None or isinstance(result, Reason):
        return
    whole = taken(made.raw).files
    base, new, got = (listing(world, tree) for tree in (made.base, made.new, result))
    for path in base.keys() | got.keys():
        if got.get(path) not in (base.get(path), new.get(path)):
            assert is_prefix_of_change(world, made.base, whole, path, got.get(path))


def listing(world: DiffWorld, tree: str) -> dict[bytes, tuple[bytes, bytes]]:
    """Return mode and content of each file of a tree."""
    found = {}
    for record in world.git("ls-tree", "-rz", tree).split(b"\0")[:-1]:
        meta, path = record.split(b"\t", 1)
        mode, _, blob = meta.split()
        found[path] = mode, world.git("cat-file", "blob", blob)
    return found


def is_prefix_of_change(
    world: DiffWorld, base: str, whole: tuple[FileChange, ...], path: bytes, got: tuple[bytes, bytes] | None
) -> bool:
    """Return whether a file has the first hunks of its change and no part of any other."""
    changes = [change for change in whole if path in change.paths]
    if got is None:
        return any(change.kind in (ChangeKind.DELETE, ChangeKind.RENAME) for change in changes)
    read = world.reader(base)
    for change in changes:
        old = b"" if change.old_path is None else read(change.old_path) or b""
        for count in range(len(change.hunks) + 1):
            part = replace(change, hunks=change.hunks[:count], kind=ChangeKind.MODIFY)
            content = patched(old, part)
            if content is not None and got[1] in (content, content + b"\n"):
                return True
    return False


@PROPERTY
@given(
    pair=trees(),
    which=st.integers(0, 99),
    off=st.tuples(st.integers(-3, 3), st.integers(-3, 3)),
    ending=st.tuples(st.sampled_from([b"", b"-- \n2.39.5\n\n", b"```\n"]), st.sampled_from(OPTIONS)),
)
def test_wrong_counts_land_as_meant_or_not_at_all(
    world: DiffWorld,
    pair: tuple[Tree, Tree],
    which: int,
    off: tuple[int, int],
    ending: tuple[bytes, list[str]],
) -> None:
    """Counts that are off by up to three, either or both, give the author's tree or a refusal."""
    end, options = ending
    made = author(world, pair, options)
    headers = [*re.finditer(rb"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", made.raw, re.MULTILINE)]
    assume(headers)
    found = headers[which % len(headers)]
    old = max(0, int(found[2] or 1) + off[0])
    new = max(0, int(found[4] or 1) + off[1])
    header = b"@@ -%s,%d +%s,%d @@" % (found[1], old, found[3], new)
    text = made.raw[: found.start()] + header + made.raw[found.end() :] + end
    result = world.landed(made.base, text)
    assert result is None or isinstance(result, Reason) or result == made.new


@PROPERTY
@given(
    pair=trees(), at=st.integers(0, 10_000), is_doubled=st.booleans(), options=st.sampled_from(OPTIONS[:5])
)
def test_a_lost_or_doubled_line_lands_as_the_full_text_says(
    world: DiffWorld, pair: tuple[Tree, Tree], at: int, is_doubled: bool, options: list[str]
) -> None:
    """A text with a line lost or doubled is refused, or all that it says lands."""
    made = author(world, pair, options)
    lines = made.raw.split(b"\n")
    at %= len(lines)
    lines[at : at + 1] = [lines[at]] * 2 if is_doubled else []
    text = b"\n".join(lines)
    result = world.landed(made.base, text)
    if result is None or isinstance(result, Reason) or result == made.new:
        return
    scope = taken(text).scope
    changed = world.git("diff", "--numstat", "--no-renames", "-z", made.base, result).count(b"\0")
    assert changed <= scope.files
    assert hunk_lines(text) == scope.insertions + scope.deletions


def hunk_lines(text: bytes) -> int:
    """Count the changed lines of a text without believing any count: all + and - lines that are no header."""
    body = re.sub(rb"^(--- .*\n\+\+\+ .*\n)(?=@@ )", b"", text, flags=re.MULTILINE)
    return len(re.findall(rb"^[+-]", body, re.MULTILINE))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([*LINES, *SYNTAX])))
def test_any_text_has_an_outcome(lines: list[bytes]) -> None:
    """Any lines in any order give a patch or a reason, never an exception."""
    take_in(b"\n".join(lines), max_bytes=MAX_BYTES)


@given(st.binary())
def test_any_bytes_have_an_outcome(raw: bytes) -> None:
    """Any bytes give a patch or a reason, never an exception."""
    take_in(raw, max_bytes=MAX_BYTES)
