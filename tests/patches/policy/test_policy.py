"""Policy: the limits on what a patch may touch, on any file system."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from maingate.patches.model import quote_path
from maingate.patches.policy.policy import Policy, TreeEntry, judge, needs_approval
from maingate.reasons import Reason, ReasonCode
from maingate.settings.policy_layer import PolicyLayer
from support.diff_world import DiffWorld, refusal, taken


@dataclass(frozen=True, kw_only=True)
class Stored:
    """An entry at a path of the base."""

    mode: int
    data: bytes = b""


def change(path: bytes, body: bytes = b"@@ -1,2 +1,2 @@\n-a\n+b\n c\n") -> bytes:
    """Return the diff that changes a file."""
    old, new = quote_path(b"a/" + path), quote_path(b"b/" + path)
    return b"diff --git %s %s\n--- %s\n+++ %s\n%s" % (old, new, old, new, body)


def link(path: bytes, target: bytes) -> bytes:
    """Return the diff that makes a symbolic link."""
    old, new = quote_path(b"a/" + path), quote_path(b"b/" + path)
    return (
        b"diff --git %s %s\nnew file mode 120000\n--- /dev/null\n+++ %s\n@@ -0,0 +1 @@\n+%s\n"
        b"\\ No newline at end of file\n" % (old, new, new, target)
    )


def removal(path: bytes) -> bytes:
    """Return the diff that removes a file."""
    old, new = quote_path(b"a/" + path), quote_path(b"b/" + path)
    head = b"diff --git %s %s\ndeleted file mode 100644\n--- %s\n+++ /dev/null\n" % (old, new, old)
    return head + b"@@ -1 +0,0 @@\n-a\n"


def rules(
    raw: bytes,
    policy: Policy | None = None,
    *,
    scope: Sequence[str] | None = None,
    origin: Literal["ready", "tool"] = "ready",
    base: Mapping[bytes, Stored] | None = None,
) -> list[tuple[str | None, str]]:
    """Judge a patch and return (path, rule) of each violation."""
    reasons = judged(raw, policy, scope=scope, origin=origin, base=base)
    return [(reason.detail["path"], reason.detail["rule"]) for reason in reasons]


def judged(
    raw: bytes,
    policy: Policy | None = None,
    *,
    scope: Sequence[str] | None = None,
    origin: Literal["ready", "tool"] = "ready",
    base: Mapping[bytes, Stored] | None = None,
) -> list[Reason]:
    """Judge a patch on a base."""

    def entry_at(path: bytes) -> TreeEntry | None:
        return (base or {}).get(path)

    return judge(policy or Policy(), taken(raw), scope=scope, origin=origin, entry_at=entry_at)


# Paths


@pytest.mark.parametrize(
    "path",
    [
        b".git/config",
        b".GIT/config",
        b".Git",
        b"sub/.git/hooks/post-checkout",
        b".git /config",
        b".git./config",
        b".git . ./config",
        b"git~1/config",
        b"GIT~1/config",
        b".git::$INDEX_ALLOCATION/config",
        b".git:stream",
        b"sub\\.git\\config",
        b".git\\config",
        ".g\u200cit/config".encode(),
        "\ufeff.git/config".encode(),
        "\uff0egit/config".encode(),
    ],
)
def test_git_in_any_spelling_is_forbidden(path: bytes) -> None:
    """NTFS, HFS+ and Windows have many names for .git."""
    (reason,) = judged(change(path))
    assert reason.code is ReasonCode.POLICY_VIOLATION
    assert reason.detail["rule"] == ".git/**"


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        (b"../x", "dot_components"),
        (b"a/../../x", "dot_components"),
        (b"./x", "dot_components"),
        (b"a//x", "dot_components"),
        (b"a/.. /x", "dot_components"),
        (b"a\\..\\x", "dot_components"),
        (b"/etc/passwd", "absolute"),
        (b"C:\\x", "absolute"),
        (b"c:/x", "absolute"),
        (b"\\\\server\\x", "absolute"),
    ],
)
def test_paths_that_leave_the_repository_are_forbidden(path: bytes, rule: str) -> None:
    """Absolute paths and dot components are refused in any notation."""
    assert [found for _, found in rules(change(path))] == [rule]


@pytest.mark.parametrize(
    "path",
    [b".github/x", b".gitignore", b"a.git/x", b"x~1", b"..x", b"...", b"a b", b"q\\n", b"\xff", b"c:x"],
)
def test_ordinary_names_are_fine(path: bytes) -> None:
    """Names that only resemble forbidden ones are allowed."""
    assert rules(change(path)) == []


def test_traditional_diffs_of_absolute_paths_are_judged() -> None:
    """A path without prefix is taken as it stands."""
    assert rules(b"--- /etc/passwd\n+++ /etc/passwd\n@@ -1,2 +1,2 @@\n-a\n+b\n c\n") == [
        ("/etc/passwd", "absolute")
    ]


def test_globs_are_those_of_gitignore() -> None:
    """Allow groups must all match, forbid groups none, and each group is a list of its own."""
    policy = Policy(allow=(("src/**", "*.md"), ("!src/gen/**", "**")), forbid=(("secrets/", "*.pem"),))
    raw = b"".join(map(change, [b"src/a", b"docs/x.md", b"lib/x", b"src/secrets/k", b"src/k.pem"]))
    assert rules(raw, policy) == [("lib/x", "allow"), ("src/k.pem", "forbid"), ("src/secrets/k", "forbid")]


def test_no_layer_takes_back_what_another_forbids() -> None:
    """A `!` works within its own layer only."""
    policy = Policy(forbid=(("secrets/**",), ("!secrets/**",)))
    assert rules(change(b"secrets/k"), policy) == [("secrets/k", "forbid")]


def test_both_sides_of_a_rename_are_touched() -> None:
    """Moving a file away or in needs both places; a copy leaves its source alone, but reads it."""
    moved = b"diff --git a/in/x b/out/x\nsimilarity index 100%%\n%s from in/x\n%s to out/x\n"
    policy = Policy(allow=(("out/**",),))
    assert rules(moved % (b"rename", b"rename"), policy) == [("in/x", "allow")]
    assert rules(moved % (b"copy", b"copy"), policy) == []
    assert rules(moved % (b"copy", b"copy"), Policy(forbid=(("in/**",),))) == [("in/x", "forbid")]


def test_outside_the_scope_is_a_violation_of_scope() -> None:
    """The task's own scope has its own code."""
    (reason,) = judged(change(b"lib/x") + change(b"src/x"), scope=["src/**"])
    assert reason == Reason(
        code=ReasonCode.SCOPE_VIOLATION,
        message="lib/x: outside of what the task may touch",
        detail={"path": "lib/x", "rule": "scope", "limit": ["src/**"]},
    )


def test_protected_paths_bind_tools_only() -> None:
    """By default a tool's patch may not change the tests and CI files that judge it."""
    raw = change(b"tests/test_x.py") + change(b".github/workflows/ci.yml") + change(b"src/x.py")
    assert rules(raw) == []
    assert rules(raw, origin="tool") == [
        (".github/workflows/ci.yml", "protect"),
        ("tests/test_x.py", "protect"),
    ]
    assert (
        "under `protect` of the policy (tests and CI files by default)"
        in judged(raw, origin="tool")[0].message
    )
    assert "`policy: {protect: []}` in the plan" in judged(raw, origin="tool")[0].message
    own = Policy(protect=(("src/**",),))
    assert rules(raw, own, origin="tool") == [("src/x.py", "protect")]
    assert "take it out there, in the plan or in maingate.toml" in judged(raw, own, origin="tool")[0].message
    assert rules(raw, Policy(protect=((),)), origin="tool") == []


def test_tests_may_be_required() -> None:
    """A patch that touches a path which demands tests must touch one."""
    policy = Policy(require_tests=(("src/**",),))
    assert rules(change(b"src/x"), policy) == [("src/x", "require_tests")]
    assert rules(change(b"src/x") + change(b"tests/test_x.py"), policy) == []
    assert rules(change(b"docs/x"), policy) == []


# Links


@pytest.mark.parametrize(
    ("path", "target"),
    [
        (b"l", b"/etc/passwd"),
        (b"l", b"../x"),
        (b"d/l", b"../../x"),
        (b"d/l", b"a/../../../x"),
        (b"l", b"C:\\Windows"),
        (b"l", b"..\\x"),
        (b"l", b"\\\\server\\share"),
        (b"l", b".git/config"),
        (b"d/l", b"../.GIT/hooks"),
        (b"l", b"out/x"),
        (b"l", b"inner/../x"),
    ],
)
def test_links_out_of_the_repository_are_forbidden(path: bytes, target: bytes) -> None:
    """A link must stay inside, also when it goes on through another link, and never reach .git."""
    base = {
        b"out": Stored(mode=0o120000, data=b"/usr"),
        b"inner": Stored(mode=0o120000, data=b"."),
        b"f": Stored(mode=0o100644),
    }
    assert [rule for _, rule in rules(link(path, target), base=base)] == ["symlink"]


@pytest.mark.parametrize(
    ("path", "target"),
    [
        (b"l", b"x"),
        (b"d/l", b"../x"),
        (b"d/e/l", b"../../x/y"),
        (b"l", b"l"),
        (b"l", b"./d//x"),
        (b"l", b".gitignore"),
    ],
)
def test_links_inside_are_fine(path: bytes, target: bytes) -> None:
    """Relative links that stay inside are ordinary files of a repository."""
    assert rules(link(path, target)) == []


def test_a_link_that_changes_or_moves_is_judged_again(tmp_path: Path) -> None:
    """New targets, new places and changed types all count, with real diffs."""
    world = DiffWorld.create(tmp_path / "w")
    old = world.tree({b"d/l": ("120000", b"../x"), b"m": ("120000", b"x"), b"f": ("100644", b"text\n")})
    new = world.tree({b"l": ("120000", b"../x"), b"m": ("120000", b"/x"), b"f": ("120000", b"/y")})
    base = {
        b"d/l": Stored(mode=0o120000, data=b"../x"),
        b"m": Stored(mode=0o120000, data=b"x"),
        b"f": Stored(mode=0o100644),
    }
    raw = world.diff(old, new, "-M")
    assert b"rename from d/l" in raw
    assert sorted(rules(raw, base=base), key=str) == [("f", "symlink"), ("l", "symlink"), ("m", "symlink")]


def test_a_link_changed_by_a_diff_without_modes_is_judged() -> None:
    """The base knows that it is a link where the text does not say."""
    marker = b"\\ No newline at end of file\n"
    raw = b"--- a/l\n+++ b/l\n@@ -1 +1 @@\n-x\n" + marker + b"+/etc/passwd\n" + marker
    assert rules(raw, base={b"l": Stored(mode=0o120000, data=b"x")}) == [("l", "symlink")]
    assert rules(raw, base={b"l": Stored(mode=0o100644)}) == []


def test_writing_through_a_link_is_forbidden() -> None:
    """Neither a link of the base nor one that the same patch makes may be on the way to a file."""
    base = {b"d": Stored(mode=0o120000, data=b"elsewhere")}
    assert rules(change(b"d/x"), base=base) == [("d/x", "write_through_symlink")]
    made = link(b"e", b"elsewhere") + change(b"e/deep/x")
    assert rules(made) == [("e/deep/x", "write_through_symlink")]


def test_a_link_may_become_a_folder_and_a_folder_a_link(tmp_path: Path) -> None:
    """Replacing one by the other writes through nothing."""
    world = DiffWorld.create(tmp_path / "w")
    as_link = world.tree({b"d": ("120000", b"e"), b"e/x": ("100644", b"x\n")})
    as_folder = world.tree({b"d/x": ("100644", b"x\n"), b"e/x": ("100644", b"x\n")})
    base = {b"d": Stored(mode=0o120000, data=b"e")}
    assert rules(world.diff(as_link, as_folder), base=base) == []
    assert rules(world.diff(as_folder, as_link)) == []


# Kinds


SUB = b"1" * 40


def test_submodules_are_forbidden_unless_allowed(tmp_path: Path) -> None:
    """Making, moving and removing one counts, and so does .gitmodules in any spelling."""
    world = DiffWorld.create(tmp_path / "w")
    none, one, two = (
        world.tree({b"f": ("100644", b"x")}),
        world.tree({b"f": ("100644", b"x"), b"s": ("160000", SUB)}),
        world.tree({b"f": ("100644", b"x"), b"s": ("160000", b"2" * 40)}),
    )
    for old, new in ((none, one), (one, two), (one, none)):
        assert rules(world.diff(old, new)) == [("s", "submodules")]
        assert rules(world.diff(old, new), Policy(submodules=True)) == []
    for name in (b".gitmodules", b".GITMODULES", b"gitmod~1", b".gitmodules "):
        assert [rule for _, rule in rules(change(name))] == ["submodules"]


def test_a_submodule_is_known_without_its_mode() -> None:
    """A diff without modes moves a submodule all the same."""
    body = b"@@ -1 +1 @@\n-Subproject commit " + SUB + b"\n+Subproject commit " + b"2" * 40 + b"\n"
    assert rules(change(b"s", body)) == [("s", "submodules")]
    assert rules(change(b"s", body), base={b"s": Stored(mode=0o160000)}) == [("s", "submodules")]
    assert rules(change(b"s", body), base={b"s": Stored(mode=0o100644)}) == []


def test_binary_changes_are_forbidden_unless_allowed(tmp_path: Path) -> None:
    """Binary is judged by the diff, not by the name."""
    world = DiffWorld.create(tmp_path / "w")
    raw = world.diff(world.tree({}), world.tree({b"x.txt": ("100644", b"\0\1\2")}))
    assert rules(raw) == [("x.txt", "binary")]
    assert rules(raw, Policy(binary=True)) == []


def test_modes() -> None:
    """Changes of mode may be forbidden; modes that git does not know are no diff at all."""
    raw = b"diff --git a/f b/f\nold mode 100644\nnew mode 100755\n"
    assert rules(raw) == []
    assert rules(raw, Policy(mode_changes=False)) == [("f", "mode_changes")]
    assert refusal(raw.replace(b"100755", b"104755")).code is ReasonCode.FORMAT_INVALID


# Amounts, and all at once


def test_amounts_are_limited() -> None:
    """Files and changed lines are counted over the whole patch; the limit itself is allowed."""
    raw = change(b"a") + change(b"b")
    assert rules(raw, Policy(max_files=2, max_lines=4)) == []
    files, lines = judged(raw, Policy(max_files=1, max_lines=3))
    assert (files.detail["rule"], files.detail["limit"], files.detail["path"]) == ("max_files", 1, None)
    assert (lines.detail["rule"], lines.detail["limit"]) == ("max_lines", 3)


def test_all_violations_come_at_once() -> None:
    """They need not be corrected one by one."""
    raw = change(b"../x") + change(b".git/config") + link(b"l", b"/etc") + change(b"secrets/k")
    policy = Policy(forbid=(("secrets/**",),), max_files=3)
    assert sorted(rule for _, rule in rules(raw, policy)) == [
        ".git/**",
        "dot_components",
        "forbid",
        "max_files",
        "symlink",
    ]


# Layers


def test_layers_only_tighten() -> None:
    """Lists add up, limits take the least, a no stays no."""
    policy = (
        Policy()
        .tightened(PolicyLayer(forbid=("secrets/**",), max_files=10, binary=False, submodules=True))
        .tightened(PolicyLayer(allow=("src/**",), max_files=20, max_lines=5, binary=True, submodules=True))
        .tightened(PolicyLayer(allow=("src/a/**",), forbid=("*.pem",), max_files=3, mode_changes=False))
        .tightened(PolicyLayer(mode_changes=True))
    )
    assert policy == Policy(
        allow=(("src/**",), ("src/a/**",)),
        forbid=(("secrets/**",), ("*.pem",)),
        max_files=3,
        max_lines=5,
        binary=False,
        submodules=True,
        mode_changes=False,
    )


def test_an_outer_layer_that_says_nothing_leaves_room() -> None:
    """A default may be loosened by the first layer that states it."""
    assert Policy().tightened(PolicyLayer()).tightened(PolicyLayer(binary=True)).binary is True


# Maingate's own settings


@pytest.mark.parametrize(
    "path",
    [
        b"MainGate.TOML",
        b"maingate.toml ",
        b"maingate.toml.",
        b"maingate.toml::$DATA",
        b"main\xe2\x80\x8cgate.toml",
        b"MAINGA~1.TOM",
        b"maingate.toml/below",
        b"Maingate.toml/a/b",
        b"maingate.toml\\below",
    ],
)
@pytest.mark.parametrize("origin", ["ready", "tool"])
def test_settings_in_disguise_are_not_a_patchs_to_change(
    path: bytes, origin: Literal["ready", "tool"]
) -> None:
    """In whatever spelling a file system takes for it, changed, made, removed or made a link or folder."""
    diffs = [
        change(path),
        link(path, b"elsewhere"),
        removal(path),
    ]
    for raw in diffs:
        assert "allow_settings_changes" in [rule for _, rule in rules(raw, origin=origin)]
    named = judged(diffs[0], origin=origin)
    assert ReasonCode.POLICY_VIOLATION in {reason.code for reason in named}
    allowing = Policy(allow_settings_changes=True, protect=(("/none",),))
    assert rules(diffs[0], allowing, origin=origin) == []


def test_settings_are_changed_with_an_approval() -> None:
    """The plain file, changed or removed; as a link it is refused."""
    plain = [change(b"maingate.toml"), removal(b"maingate.toml")]
    assert [rules(raw, Policy(protect=(("/none",),))) for raw in plain] == [[], []]
    assert [needs_approval(Policy(), taken(raw)) for raw in plain] == [True, True]
    assert not needs_approval(Policy(allow_settings_changes=True), taken(plain[0]))
    assert not needs_approval(Policy(), taken(change(b"sub/maingate.toml")))
    assert "allow_settings_changes" in [rule for _, rule in rules(link(b"maingate.toml", b"elsewhere"))]


@pytest.mark.parametrize(
    ("header", "is_asked"),
    [
        (b"rename from maingate.toml\nrename to other.toml\n", True),
        (b"rename from other.toml\nrename to maingate.toml\n", True),
        (b"copy from other.toml\ncopy to maingate.toml\n", True),
        (b"old mode 100644\nnew mode 100755\n", True),
        (b"copy from maingate.toml\ncopy to other.toml\n", False),
    ],
)
def test_renamed_settings_and_copies_onto_them_need_an_approval(header: bytes, is_asked: bool) -> None:
    """As does another mode; a copy of them elsewhere changes none."""
    words = header.split()
    old, new = (words[2], words[5]) if b"from" in words else (b"maingate.toml", b"maingate.toml")
    raw = b"diff --git a/%s b/%s\n" % (old, new)
    raw += (b"similarity index 100%\n" if b"from" in words else b"") + header
    assert needs_approval(Policy(), taken(raw)) is is_asked


@pytest.mark.parametrize("path", [b"sub/maingate.toml", b"maingate.toml.md", b"xmaingate.toml", b"maingate"])
def test_files_of_a_like_name_are_any_files(path: bytes) -> None:
    """Only the root's holds settings."""
    assert rules(change(path)) == []


def test_no_layer_gives_back_what_another_takes_away() -> None:
    """One layer that does not allow changes of settings is enough."""
    policy = Policy().tightened(PolicyLayer(allow_settings_changes=False))
    assert policy.tightened(PolicyLayer(allow_settings_changes=True)).allow_settings_changes is False


def test_globs_match_paths_with_newlines_as_git_does() -> None:
    """A newline in a folder's or a file's name gets no path past a glob."""
    policy = Policy(forbid=(("*.pem", "secrets/"),))
    for path in (b"a\nb/x.pem", b"x\n.pem", b"q\nr/secrets/x", b"secrets/\n"):
        assert [rule for _, rule in rules(change(path), policy)] == ["forbid"]
    assert rules(change(b"x.pem\n"), policy) == []
