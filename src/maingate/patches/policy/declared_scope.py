"""Hold the paths of a patch against the scope that its task declares (docs/SPECIFICATION.md §2.6)."""

from collections.abc import Sequence

from maingate.patches.policy.path_globs import matches
from maingate.patches.text.quoting import show_path
from maingate.reasons import Reason, ReasonCode


def outside_of_scope(path: bytes, scope: Sequence[str] | None) -> Reason | None:
    """Return the violation of a path that lies outside of a declared scope; None when it lies within.

    Args:
        path: A path that the patch writes, derived from the diff itself.
        scope: The globs that the task declares; None for no limit.
    """
    if scope is None or matches(tuple(scope), path):
        return None
    return Reason(
        code=ReasonCode.SCOPE_VIOLATION,
        message=f"{show_path(path)}: outside of what the task may touch",
        detail={"path": show_path(path), "rule": "scope", "limit": list(scope)},
    )
