"""The tree that gates are asked about, and the patch or workstream that it belongs to."""

from dataclasses import dataclass

from maingate.ids import PatchId, WorkstreamId


@dataclass(frozen=True, kw_only=True)
class JudgedSubject:
    """The patch, or the workstream's merged result, whose tree is judged.

    Args:
        label: Its name for people, such as ``parser/drop-regex``.
        patch_id: None for a merged result.
        is_urgent: Whether its gates go before those of trees that are tested ahead.
        failures: How often a gate must fail before that is sure; where it is 0, a known failure is. None for
            as often as the settings say.
        fails_fast: Whether its first failure ends all that is asked for it.
    """

    label: str
    workstream_id: WorkstreamId
    patch_id: PatchId | None = None
    is_urgent: bool = False
    failures: int | None = None
    fails_fast: bool = False
