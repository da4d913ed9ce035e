"""The judgement of a patch by the policy, pure (docs/SPECIFICATION.md §2.6).

Git refuses ``../x`` and ``.git/config``, but neither a link to ``/etc/passwd`` nor ``.git ``, which Windows
treats as ``.git``. Layers of policy are stacked from the settings down to the task; each can only tighten.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final, Literal

from maingate.patches.intake import Intake, touched_paths
from maingate.patches.model import SUBMODULE, SYMLINK, ChangeKind, FileChange
from maingate.patches.policy.declared_scope import outside_of_scope
from maingate.patches.policy.links import EntryAt, Links, TreeEntry
from maingate.patches.policy.path_globs import matches, matching
from maingate.patches.policy.stack import Policy, PolicyLimits
from maingate.patches.policy.unsafe_paths import SETTINGS, is_gitmodules, is_settings, path_fault
from maingate.patches.text.quoting import show_path
from maingate.plan.paths.globs import DEFAULT_PROTECT, DEFAULT_TESTS
from maingate.reasons import Reason, ReasonCode

__all__ = [
    "DEFAULT_PROTECT",
    "DEFAULT_TESTS",
    "EntryAt",
    "Policy",
    "PolicyLimits",
    "TreeEntry",
    "judge",
    "needs_approval",
]

_SUBPROJECT: Final = re.compile(rb"[-+]Subproject commit [0-9a-f]{40,64}(?:-dirty)?\n")


def judge(
    policy: Policy,
    intake: Intake,
    *,
    scope: Sequence[str] | None,
    origin: Literal["ready", "tool"],
    entry_at: EntryAt,
) -> list[Reason]:
    """Judge a patch before any part of it is written.

    Args:
        policy: All layers together.
        intake: The patch.
        scope: Globs that the task may write to; None for no limit.
        origin: Whether the patch was ready or made by a tool.
        entry_at: Returns the entry at a path of the base: a file, link or submodule.

    Returns:
        Every violation, each with ``{path, rule, limit}`` as detail; none when the patch is accepted.
    """
    speakable = [change for change in intake.files if not any(map(path_fault, change.paths))]
    return [
        *_paths(policy, intake, scope, origin),
        *_links(speakable, entry_at),
        *_kinds(policy, speakable, entry_at),
        *_amounts(policy, intake),
    ]


def needs_approval(policy: Policy, intake: Intake) -> bool:
    """Return whether a person has to approve a patch because it changes Maingate's own settings."""
    return not policy.allow_settings_changes and SETTINGS in intake.scope.paths


def _violation(path: bytes | None, rule: str, message: str, limit: object = None) -> Reason:
    named = None if path is None else show_path(path)
    return Reason(
        code=ReasonCode.POLICY_VIOLATION,
        message=message if named is None else f"{named}: {message}",
        detail={"path": named, "rule": rule, "limit": limit},
    )


# Paths


def _paths(
    policy: Policy, intake: Intake, scope: Sequence[str] | None, origin: Literal["ready", "tool"]
) -> Iterator[Reason]:
    written = intake.scope.paths
    sources = {change.old_path or b"" for change in intake.files if change.kind is ChangeKind.COPY}
    new_links = {change.path for change in intake.files if change.new_mode in (SYMLINK, SUBMODULE)}
    for path in (*written, *sorted(sources.difference(written))):
        fault = path_fault(path)
        if fault is not None:
            yield _violation(path, fault, _FAULTS[fault])
            continue
        if group := matching(policy.forbid, path, is_folder=path in new_links):
            yield _violation(path, "forbid", "no patch may touch it", list(group))
        if path in written:
            yield from _write_faults(policy, path, scope, origin, is_folder=path in new_links)
    yield from _missing_tests(policy, written)


_FAULTS: Final = {
    "absolute": "the path is absolute",
    "dot_components": "the path has empty, `.` or `..` components",
    ".git/**": "the path is in .git, or in what some file system takes for it",
}


def _write_faults(
    policy: Policy,
    path: bytes,
    scope: Sequence[str] | None,
    origin: Literal["ready", "tool"],
    *,
    is_folder: bool,
) -> Iterator[Reason]:
    is_plain = path == SETTINGS and not is_folder
    if is_settings(path) and not is_plain and not policy.allow_settings_changes:
        message = (
            "some file system takes it for Maingate's own settings, or it makes them something else than a "
            "plain file; change them as `maingate.toml`"
        )
        yield _violation(path, "allow_settings_changes", message, False)
    for group in policy.allow:
        if not matches(group, path):
            yield _violation(path, "allow", "no path that policy allows", list(group))
    if outside := outside_of_scope(path, scope):
        yield outside
    if origin == "tool":
        protect = policy.protect or (DEFAULT_PROTECT,)
        if guarding := matching(protect, path, is_folder=is_folder):
            yield _violation(path, "protect", _protected(by_default=not policy.protect), list(guarding))


def _protected(*, by_default: bool) -> str:
    """Return why a tool's patch may not touch a path, and how to allow it."""
    why = "a tool's patch may not touch it, it is under `protect` of the policy"
    if by_default:
        lets = "`policy: {protect: []}` in the plan lets tools change them"
        return f"{why} (tests and CI files by default); {lets}"
    return f"{why}; take it out there, in the plan or in maingate.toml, to let tools change it"


def _missing_tests(policy: Policy, written: Sequence[bytes]) -> Iterator[Reason]:
    tests = policy.test_paths or (DEFAULT_TESTS,)
    if not policy.require_tests or any(all(matches(group, path) for group in tests) for path in written):
        return
    for path in written:
        if demanding := matching(policy.require_tests, path):
            yield _violation(
                path, "require_tests", "who changes it must change a test as well", list(demanding)
            )


# Links


def _links(changes: Sequence[FileChange], entry_at: EntryAt) -> Iterator[Reason]:
    links = Links(changes, entry_at)
    for path in links.made:
        fault = links.fault_of(path)
        if fault is not None:
            yield _violation(path, "symlink", f"a symbolic link, and {fault}")
    for change in changes:
        for path in touched_paths(change):
            passed = links.passed_by(path, is_written=path == change.new_path)
            if passed is not None:
                message = f"it would be reached through the symbolic link {show_path(passed)}"
                yield _violation(path, "write_through_symlink", message, show_path(passed))


# Kinds of change


def _kinds(policy: Policy, changes: Sequence[FileChange], entry_at: EntryAt) -> Iterator[Reason]:
    for change in changes:
        if change.binary is not None and not policy.binary:
            yield _violation(change.path, "binary", "binary changes are not allowed", False)
        if not policy.submodules and _touches_submodule(change, entry_at):
            yield _violation(change.path, "submodules", "changes of submodules are not allowed", False)
        if policy.mode_changes is False and _changes_mode(change):
            modes = f"{change.old_mode:06o} → {change.new_mode:06o}"
            yield _violation(change.path, "mode_changes", f"changes of mode are not allowed ({modes})", False)


def _touches_submodule(change: FileChange, entry_at: EntryAt) -> bool:
    if SUBMODULE in (change.old_mode, change.new_mode) or any(is_gitmodules(path) for path in change.paths):
        return True
    if change.old_path is None or change.old_mode is not None:
        return False
    entry = entry_at(change.old_path)
    if entry is not None:
        return entry.mode == SUBMODULE
    return any(_SUBPROJECT.fullmatch(line) for hunk in change.hunks for line in hunk.lines)


def _changes_mode(change: FileChange) -> bool:
    return None not in (change.old_mode, change.new_mode) and change.old_mode != change.new_mode


# Amounts


def _amounts(policy: Policy, intake: Intake) -> Iterator[Reason]:
    touched = intake.scope
    if policy.max_files is not None and touched.files > policy.max_files:
        message = f"the patch touches {touched.files} files, more than {policy.max_files}"
        yield _violation(None, "max_files", message, policy.max_files)
    lines = touched.insertions + touched.deletions
    if policy.max_lines is not None and lines > policy.max_lines:
        message = f"the patch changes {lines} lines, more than {policy.max_lines}"
        yield _violation(None, "max_lines", message, policy.max_lines)
