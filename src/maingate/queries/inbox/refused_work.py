"""The refused patches of the inbox, and what the repository says of the branches that they are of."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from maingate.db.dao import runs
from maingate.db.dao.overviews import refused_patches
from maingate.db.dao.overviews.refused_patches import RefusedPatch
from maingate.db.sql.connection import Connection
from maingate.git.branch_renames import name_now, renames_of_branches
from maingate.git.targets import BRANCHES
from maingate.queries.inbox.items import newest_attempts
from maingate.repository_context import RepositoryContext


@dataclass(frozen=True, kw_only=True)
class RefusedWork:
    """Refused patches, with the facts about their branches; see `InboxRows`.

    Args:
        quarantined: The quarantined patches whose work no later run tries under the same name.
        tried_again: The ids of those whose branch was renamed since and is tried again by its new name.
        branches: The newest commit of each branch that is there.
        merged: Pairs of a branch and a target that has it.
        own_gates: The own gates of plans by run.
    """

    quarantined: Sequence[RefusedPatch]
    tried_again: frozenset[str]
    branches: Mapping[str, str]
    merged: frozenset[tuple[str, str]]
    own_gates: Mapping[str, Mapping[str, str]]


def refused_work(
    conn: Connection, context: RepositoryContext, stopped: Sequence[RefusedPatch]
) -> RefusedWork:
    """Read the quarantined patches that may need a person.

    Args:
        conn: A transaction.
        context: The repository and its record.
        stopped: The patches that a red base stopped.
    """
    everything = newest_attempts(refused_patches.quarantined(conn, context.identity.id))
    quarantined = [patch for patch in everything if not refused_patches.is_tried_again(conn, patch)]
    named = {patch.source for patch in (*quarantined, *stopped) if patch.source is not None}
    there = context.repository.refs_under(BRANCHES) if named else {}
    by_name_now = _by_name_now(context, quarantined, there)
    renamed = newest_attempts([now for _, now in by_name_now])
    is_renamed = {now.id for old, now in by_name_now if now.source != old.source}
    wanted = {patch.source for patch in (*renamed, *stopped)}
    branches = {ref: commit for ref, commit in there.items() if ref in wanted}
    return RefusedWork(
        quarantined=renamed,
        tried_again=frozenset(
            patch.id
            for patch in renamed
            if patch.id in is_renamed and refused_patches.is_tried_again(conn, patch)
        ),
        branches=branches,
        merged=frozenset(_merged(context, renamed, branches)),
        own_gates=_own_gates(conn, [*renamed, *stopped], branches),
    )


def _by_name_now(
    context: RepositoryContext, quarantined: Sequence[RefusedPatch], branches: Mapping[str, str]
) -> list[tuple[RefusedPatch, RefusedPatch]]:
    """Return each patch, and the same with the name that its branch has now."""
    gone = {
        patch.id: patch.source
        for patch in quarantined
        if patch.source is not None and patch.source.startswith(BRANCHES) and patch.source not in branches
    }
    renames = renames_of_branches(context.repository.git_dir) if gone else []
    pairs = []
    for patch in quarantined:
        source = gone.get(patch.id)
        now = None if source is None else name_now(source, patch.run_created_at, renames, branches)
        pairs.append((patch, patch if now is None else replace(patch, source=now)))
    return pairs


def _merged(
    context: RepositoryContext, quarantined: Sequence[RefusedPatch], branches: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield the branches that a target has, each with the target: nothing is left to land of them."""
    repository = context.repository
    for source, target in {(patch.source, patch.target_ref) for patch in quarantined}:
        if source is not None and source in branches:
            head = repository.ref_value(target)
            if head is not None and repository.is_ancestor(branches[source], head):
                yield source, target


def _own_gates(
    conn: Connection, refused: Sequence[RefusedPatch], branches: Mapping[str, str]
) -> Mapping[str, Mapping[str, str]]:
    """Return the gates of the plans of branches that the settings of their target did not have, by run."""
    ids = {patch.run_id for patch in refused if patch.source in branches}
    if not ids:
        return {}
    from maingate.plan.rules import without_inherited  # noqa: PLC0415 - only for the work of branches

    found = {}
    for row in runs.get_many(conn, ids).values():
        own = without_inherited(row.plan, row.tree_settings).get("gates", {})
        found[row.id] = {name: each["run"] for name, each in own.items() if isinstance(each["run"], str)}
    return found
