"""One layer of policy, as ``maingate.toml``, a plan, a workstream or a task may state it.

See docs/SPECIFICATION.md §2.6.

Layers are stacked global → plan → workstream → task and a deeper layer can only tighten: lists add up (a path
must be allowed by every layer that has ``allow`` and forbidden by none; a test must match every
``test_paths``), limits may only get smaller, a ``false`` stays false. A value that no layer states has its
default.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt

Count = Annotated[StrictInt, Field(ge=0)]
Limit = Annotated[StrictInt, Field(ge=1)]
Globs = tuple[str, ...]


class PolicyLayer(BaseModel):
    """Limits on what a patch may do. For a field that is None, outer layers and then the defaults decide."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    allow: Globs | None = Field(
        default=None,
        examples=[["src/**", "tests/**"]],
        description="Gitignore-style globs; a patch may touch only paths that match. Defaults to every path.",
    )
    forbid: Globs | None = Field(
        default=None,
        examples=[["secrets/**"]],
        description="Globs that no patch may touch, besides `.git/**`, which is always forbidden. "
        'Defaults to `["secrets/**"]` in the settings; a plan adds to that.',
    )
    protect: Globs | None = Field(
        default=None,
        examples=[["tests/**", ".github/**"]],
        description="Globs that a tool's patch may not touch, while a ready patch may. "
        "Defaults to the usual places of tests and CI files.",
    )
    max_files: Limit | None = Field(
        default=None, examples=[20], description="Most files a patch may touch. Defaults to no limit."
    )
    max_lines: Limit | None = Field(
        default=None,
        examples=[800],
        description="Most lines a patch may insert and delete together. Defaults to no limit.",
    )
    binary: StrictBool | None = Field(
        default=None, examples=[False], description="Whether binary patches are allowed. Defaults to false."
    )
    submodules: StrictBool | None = Field(
        default=None,
        examples=[False],
        description="Whether a patch may add, move or remove submodules. Defaults to false.",
    )
    mode_changes: StrictBool | None = Field(
        default=None,
        examples=[True],
        description="Whether a patch may change the mode of an existing file. Defaults to true.",
    )
    allow_settings_changes: StrictBool | None = Field(
        default=None,
        examples=[False],
        description="Whether a patch may change `maingate.toml` at the repository's root without an "
        "approval; only settings can allow it, a plan cannot. Defaults to false.",
    )
    require_tests: Globs | None = Field(
        default=None,
        examples=[["src/**"]],
        description="A patch that touches one of these globs must also touch a test (see `test_paths`). "
        "Defaults to none.",
    )
    test_paths: Globs | None = Field(
        default=None,
        examples=[["tests/**"]],
        description="The paths that count as tests for `require_tests`. Defaults to the usual places of "
        "tests.",
    )
    reviewers: Count | None = Field(
        default=None,
        examples=[0],
        description="How many people have to approve a patch before it is applied. Defaults to `0`.",
    )

    @property
    def stated(self) -> dict[str, object]:
        """The fields that this layer states."""
        return {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}


_CEILINGS: Final = ("max_files", "max_lines")
_PERMISSIONS: Final = ("binary", "submodules", "mode_changes", "allow_settings_changes")


def loosenings(outer: Sequence[PolicyLayer], inner: PolicyLayer) -> Iterator[tuple[str, str]]:
    """Find where a layer asks for more than a layer around it grants.

    Lists never loosen: they add up.

    Args:
        outer: The layers around it, outermost first.
        inner: The layer to judge.

    Yields:
        The field, and a hint that says what is granted.
    """
    for name in _CEILINGS:
        granted = [value for layer in outer if (value := getattr(layer, name)) is not None]
        asked = getattr(inner, name)
        if granted and asked is not None and asked > min(granted):
            yield name, f"at most {min(granted)} is granted: lower it or remove the key"
    for name in _PERMISSIONS:
        if getattr(inner, name) and any(getattr(layer, name) is False for layer in outer):
            yield name, "the layers around it do not grant it: remove the key, or grant it there"
    demanded = [layer.reviewers for layer in outer if layer.reviewers is not None]
    if demanded and inner.reviewers is not None and inner.reviewers < max(demanded):
        yield "reviewers", f"at least {max(demanded)} is demanded: raise it or remove the key"
