"""A change that a merge makes at other paths than its patch names: its diff, and the refusals of policy.

A patch edits `a.txt`, the target has renamed it to `b.txt`: git makes the edit there. Policy has judged
`a.txt`, so it judges once more what is really changed.
"""

from collections.abc import Sequence
from typing import Final

from maingate.git.repository import Repository
from maingate.patches.policy.policy import Policy
from maingate.patches.policy.unsafe_paths import is_settings
from maingate.patches.text.quoting import show_path
from maingate.reasons import Reason, ReasonCode
from maingate.wording import listed

_SHOWN: Final = 5
_PRINTED: Final = (
    *("-p", "--binary", "--full-index", "--find-renames", "--no-ext-diff", "--no-textconv", "--no-color"),
    *("--src-prefix=a/", "--dst-prefix=b/", "--submodule=short"),
)


def diff_of(repository: Repository, before: str, after: str) -> bytes:
    """Return the diff between two trees, as policy reads it."""
    return repository.private_git_dir().git("diff-tree", "-r", *_PRINTED, before, after).stdout


def refusal_of_settings(policy: Policy, paths: Sequence[bytes]) -> Reason | None:
    """Return why a change may not reach Maingate's own settings: no person has approved that."""
    path = next(filter(is_settings, paths), None)
    if path is None or policy.allow_settings_changes:
        return None
    name = show_path(path)
    return Reason(
        code=ReasonCode.POLICY_VIOLATION,
        message=f"{name}: the merged result would change Maingate's own settings; change them by hand",
        detail={"path": name, "rule": "allow_settings_changes", "limit": False},
    )


def as_elsewhere(name: str, paths: Sequence[bytes], refusal: Reason) -> Reason:
    """Return the refusal of a change with the paths that it would reach."""
    names = [show_path(path) for path in paths]
    message = (
        f"{name} would change {listed(names, _SHOWN)} on the target, where a merge follows what was moved: "
        f"{refusal.message}"
    )
    return Reason(code=refusal.code, message=message, detail={**refusal.detail, "paths": names})
