"""Layers of policy, stacked from the settings down to the task; each can only tighten.

See docs/SPECIFICATION.md §2.6.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

Groups = tuple[tuple[str, ...], ...]


class PolicyLimits(Protocol):
    """One layer of policy; a field that is None is not stated."""

    @property
    def allow(self) -> Sequence[str] | None:
        """Globs: a path must match one."""
        ...

    @property
    def forbid(self) -> Sequence[str] | None:
        """Globs that no path may match."""
        ...

    @property
    def protect(self) -> Sequence[str] | None:
        """Globs that no path of a tool's patch may match."""
        ...

    @property
    def max_files(self) -> int | None:
        """Most paths touched."""
        ...

    @property
    def max_lines(self) -> int | None:
        """Most lines inserted and deleted together."""
        ...

    @property
    def binary(self) -> bool | None:
        """Return whether binary changes are allowed."""
        ...

    @property
    def submodules(self) -> bool | None:
        """Return whether changes of submodules are allowed."""
        ...

    @property
    def mode_changes(self) -> bool | None:
        """Return whether modes of existing files may change."""
        ...

    @property
    def allow_settings_changes(self) -> bool | None:
        """Return whether Maingate's own settings may change."""
        ...

    @property
    def require_tests(self) -> Sequence[str] | None:
        """Globs: a patch that touches one must touch a test."""
        ...

    @property
    def test_paths(self) -> Sequence[str] | None:
        """Globs of tests."""
        ...


@dataclass(frozen=True, kw_only=True)
class Policy:
    """All layers together.

    Each list of globs holds one group per layer that states it, and each group is a ``.gitignore`` of its
    own, so that no layer's ``!`` allows paths that another forbids.

    Args:
        allow: A path must match every group. Defaults to every path.
        forbid: A path may match no group; ``.git/**`` is always forbidden. Defaults to nothing more.
        protect: As ``forbid``, for tools' patches. Defaults to ``DEFAULT_PROTECT``.
        require_tests: A patch that touches a match of a group must touch a test. Defaults to none.
        test_paths: A test must match every group. Defaults to ``DEFAULT_TESTS``.
        max_files: Most paths touched. Defaults to no limit.
        max_lines: Most lines inserted and deleted together. Defaults to no limit.
        binary: Whether binary changes are allowed. Defaults to no.
        submodules: Whether changes of submodules are allowed. Defaults to no.
        mode_changes: Whether modes of existing files may change. Defaults to yes.
        allow_settings_changes: Whether Maingate's own settings may change. Defaults to no.
    """

    allow: Groups = ()
    forbid: Groups = ()
    protect: Groups = ()
    require_tests: Groups = ()
    test_paths: Groups = ()
    max_files: int | None = None
    max_lines: int | None = None
    binary: bool | None = None
    submodules: bool | None = None
    mode_changes: bool | None = None
    allow_settings_changes: bool | None = None

    def tightened(self, layer: PolicyLimits) -> "Policy":
        """Return the policy with one more layer, which can only tighten it."""
        return replace(
            self,
            allow=_with_group(self.allow, layer.allow),
            forbid=_with_group(self.forbid, layer.forbid),
            protect=_with_group(self.protect, layer.protect),
            require_tests=_with_group(self.require_tests, layer.require_tests),
            test_paths=_with_group(self.test_paths, layer.test_paths),
            max_files=_least(self.max_files, layer.max_files),
            max_lines=_least(self.max_lines, layer.max_lines),
            binary=_both(self.binary, layer.binary),
            submodules=_both(self.submodules, layer.submodules),
            mode_changes=_both(self.mode_changes, layer.mode_changes),
            allow_settings_changes=_both(self.allow_settings_changes, layer.allow_settings_changes),
        )


def _with_group(groups: Groups, group: Sequence[str] | None) -> Groups:
    return groups if group is None else (*groups, tuple(group))


def _least(one: int | None, other: int | None) -> int | None:
    return min((limit for limit in (one, other) if limit is not None), default=None)


def _both(one: bool | None, other: bool | None) -> bool | None:
    return all(said) if (said := [value for value in (one, other) if value is not None]) else None
