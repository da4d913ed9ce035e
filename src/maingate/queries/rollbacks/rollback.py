"""Rollbacks: the patches that a name means, and the public JSON object of a rollback."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from maingate.db.dao import intents, patches, runs, tasks, workstreams
from maingate.db.dao.intents import Intent
from maingate.db.dao.names import lookup
from maingate.db.dao.names.lookup import Found
from maingate.db.dao.patches import PatchRow
from maingate.db.sql.connection import Connection
from maingate.errors import UsageError
from maingate.queries.names import run_named, task_names
from maingate.queries.rollbacks.owed_commands import failed, owed
from maingate.recovery.rollback_values import RollbackEnd, RollbackOutcome
from maingate.repository_context import RepositoryContext
from maingate.state.patch_ledger import PatchState
from maingate.wording import short

_KINDS: Final = ("patch_ledger", "task", "workstream", "run")
"""The kinds of entities whose patches can be rolled back."""


@dataclass(frozen=True, kw_only=True)
class RollbackChoice:
    """The patches that a rollback is about.

    Args:
        found: The entity that was named.
        patch_ids: Its patches.
        label: Its kind and name, for people.
    """

    found: Found
    patch_ids: Sequence[str]
    label: str


def choose_patches(context: RepositoryContext, what: str, *, run: str | None) -> RollbackChoice:
    """Return the entity that a name means, with its patches that are on the target.

    A name means the newest run in which something of it is on the target, whatever came of later ones.

    Raises:
        UsageError: Nothing of it is there.
        UnknownEntityError: Nothing is called so.
        AmbiguousNameError: Several things are.
    """
    with context.database.read() as conn:
        return _chosen(conn, what, run)


def rolled_back_since(
    context: RepositoryContext, entity_id: str, *, begun: str, operator: str
) -> dict[str, Any] | None:
    """Return the newest rollback of an entity by a person since a moment, in the public JSON form.

    Args:
        context: The repository and its record.
        entity_id: The entity, by its full id.
        begun: An identifier that was made at that moment.
        operator: The person.

    Returns:
        None when there is none.
    """
    with context.database.read() as conn:
        found = lookup.find(conn, entity_id, kinds=_KINDS)
        own = [row.id for row in _patches_of(conn, found)]
        run_id = patches.get(conn, own[0]).run_id if own else ""
        done = [
            each
            for each in intents.rollbacks(conn, run_id)
            if each.state == "landed"
            and each.operator == operator
            and _moment_of(each.id) > _moment_of(begun)
        ]
    for last in reversed(done):
        if gone := [each for each in own if each in last.commits]:
            label = str(last.reason.detail["what"]) if last.reason else entity_id
            choice = RollbackChoice(found=found, patch_ids=gone, label=label)
            return rollback_json(context, choice, outcome_of(last, gone))
    return None


def outcome_of(intent: Intent, patch_ids: Sequence[str]) -> RollbackOutcome:
    """Return the outcome of a rollback that another process carried out, as far as it is on record."""
    return RollbackOutcome(
        end=RollbackEnd.ROLLED_BACK,
        ref=intent.ref,
        old=intent.old or "",
        new=intent.new,
        commits={each: intent.commits.get(each, "") for each in patch_ids},
        notes=(f"rollback {intent.id}, whose process had been ended, was finished",),
    )


def _moment_of(identifier: str) -> str:
    """Return the part of an identifier that sorts by time."""
    return identifier.partition("_")[2]


def rollback_json(
    context: RepositoryContext, choice: RollbackChoice, outcome: RollbackOutcome
) -> dict[str, Any]:
    """Return the public JSON form of a rollback."""
    with context.database.read() as conn:
        rows = patches.get_many(conn, choice.patch_ids)
        names = task_names(conn, list(rows.values()))
    return {
        "state": str(outcome.end),
        "id": choice.found.id,
        "what": choice.label,
        "target": {"ref": outcome.ref, "old": outcome.old, "new": outcome.new},
        "patches": [
            {
                "id": each,
                "task": names[rows[each].task_id],
                "state": str(rows[each].state),
                "commit": outcome.commits.get(each) or None,
                "by_hand": each in outcome.commits and not outcome.commits[each],
            }
            for each in choice.patch_ids
        ],
        "gates": list(outcome.gates),
        "reason": None if outcome.reason is None else outcome.reason.as_json(),
        "notes": list(outcome.notes),
    }


def _chosen(conn: Connection, what: str, run: str | None) -> RollbackChoice:
    meant = []
    for found in _candidates(conn, what, run):
        rows = _patches_of(conn, found)
        if there := [row for row in rows if row.state is PatchState.COMMITTED]:
            return _choice(conn, found, rows, there)
        meant.append((found, rows, [row for row in rows if row.state is PatchState.ROLLED_BACK]))
    for found, rows, gone in meant:
        if gone and owed(conn, runs.get(conn, gone[0].run_id)):  # their commands still have to run
            return _choice(conn, found, rows, gone)
    for found, rows, gone in meant:
        if gone:
            raise UsageError(_gone(conn, _label(conn, found, rows), gone))
    found, rows, _ = meant[0]
    states = ", ".join(sorted({str(row.state) for row in rows})) or "it has no patches"
    what_it_is = _label(conn, found, rows)
    raise UsageError(f"nothing of {what_it_is} is on the target, so there is nothing to roll back ({states})")


def _choice(
    conn: Connection, found: Found, rows: Sequence[PatchRow], wanted: Sequence[PatchRow]
) -> RollbackChoice:
    return RollbackChoice(found=found, patch_ids=[row.id for row in wanted], label=_label(conn, found, rows))


def _gone(conn: Connection, label: str, gone: Sequence[PatchRow]) -> str:
    """Return that patches are rolled back already, and whether a command failed then."""
    said = f"{label} is already rolled back; {_again([row.id for row in gone])}"
    if number := failed(conn, {row.workstream_id for row in gone}):
        commands = f"{number} on_rollback command{'' if number == 1 else 's'}"
        said += f"; {commands} failed then: `maingate events --type on_rollback_failed`"
    return said


def _again(patch_ids: Sequence[str]) -> str:
    """Return how to land rolled back patches again: through their gates, not by another revert."""
    if len(patch_ids) == 1:
        return f"`maingate patch recover {patch_ids[0]}` lands it again"
    return f"to land its {len(patch_ids)} patches again: `maingate patch recover {patch_ids[0]}`, and so on"


def _candidates(conn: Connection, what: str, run: str | None) -> Iterator[Found]:
    """Find what may be meant: by its id, by the commit that it landed with, by name in the newest run."""
    choose = partial(_same, conn)
    if run is not None:
        yield lookup.find(conn, what, kinds=_KINDS, run_id=run_named(conn, run), choose=choose)
        return
    if (landed := lookup.of_commit(conn, what)) is not None:
        yield landed
        return
    if (undone := intents.rollback_named(conn, what)) is not None:
        raise UsageError(f"{short(what)} is itself a rollback; {_again(sorted(undone.commits))}")
    yield from lookup.find_in_each(conn, what, kinds=_KINDS, choose=choose)


def _same(conn: Connection, found: Sequence[Found]) -> Found | None:
    """Return the widest of entities of one name if a rollback of each takes the same patches back.

    So it is with a run and its workstream of that name, where nothing else of the run is on the target.
    """
    on_target = {PatchState.COMMITTED, PatchState.ROLLED_BACK}
    patches_of = [{row.id for row in _patches_of(conn, each) if row.state in on_target} for each in found]
    return found[0] if all(each == patches_of[0] for each in patches_of) else None


def _label(conn: Connection, found: Found, rows: Sequence[PatchRow]) -> str:
    """Return the kind and name of an entity, with its run unless that is the newest."""
    kind = {"patch_ledger": "patch"}.get(found.machine, found.machine)
    label = f"{kind} {short(found.name)}"
    newest = runs.newest(conn)
    is_older = bool(rows) and newest is not None and rows[0].run_id not in {newest.id, found.id}
    return f"{label} of {rows[0].run_id}" if is_older else label


def _patches_of(conn: Connection, found: Found) -> list[PatchRow]:
    if found.machine == "patch_ledger":
        return [patches.get(conn, found.id)]
    if found.machine == "run":
        return patches.of_run(conn, found.id)
    if found.machine == "task":
        run_id = tasks.get(conn, found.id).run_id
        return [row for row in patches.of_run(conn, run_id) if row.task_id == found.id]
    run_id = workstreams.get(conn, found.id).run_id
    return [row for row in patches.of_run(conn, run_id) if row.workstream_id == found.id]
