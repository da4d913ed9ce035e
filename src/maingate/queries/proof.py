"""Proofs of commits: the executions of gates that prove one, or the position of a branch that brought it.

A branch goes from position to position: each move brings a workstream, or several at once, with all their
commits. The gates of the workstreams run on the position's tree, so a commit inside is proven by the position
that brought it. It is proven itself where all the gates passed on its own tree. Where a plan asks for no more
than `later`, a position need not have been tested: the gates passed on a later one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from maingate.db.dao import gates, intents, patches, runs, verdicts, workstreams
from maingate.db.dao.gates import GateRow
from maingate.db.dao.intents import Intent, MadeMove
from maingate.db.dao.patches import PatchRow
from maingate.db.dao.verdicts import Evidence
from maingate.db.dao.workstreams import WorkstreamRow
from maingate.db.sql.connection import Connection
from maingate.git.repository import Repository
from maingate.plan.choices import Proof
from maingate.plan.model import Plan
from maingate.queries.names import task_names
from maingate.repository_context import RepositoryContext
from maingate.state.gate import GateState

Json = dict[str, Any]

NONE: Final = "none"
"""No proof; the kinds of proofs are otherwise those that a plan can ask for."""


def proof_of(context: RepositoryContext, commit: str) -> Json:
    """Return the proof of a commit in its public JSON form.

    Args:
        context: The repository and its record.
        commit: The commit's full id.
    """
    with context.database.read() as conn:
        found = _brought_by(context, conn, commit)
        if not found:
            return unlanded(context.repository, commit)
        return _Proof(context, conn, commit, found).as_json()


def unlanded(repository: Repository, commit: str) -> Json:
    """Return the form of a commit that no landing has brought."""
    return {
        "commit": commit,
        "tree": repository.tree_of(commit),
        "landed": False,
        "proof": NONE,
        "position": None,
        "vouched_by": None,
        "items": [],
        "patch": None,
        "gates": [],
        "own_gates": [],
        "missing": [],
    }


@dataclass(frozen=True, kw_only=True)
class _Item:
    """A workstream that a move brought.

    Args:
        row: The workstream.
        intent: The move.
        gates: The gates that had to pass.
        promise: The proof that its plan asks for.
    """

    row: WorkstreamRow
    intent: Intent
    gates: Sequence[str]
    promise: Proof


class _Proof:
    """The proof of one commit that was landed.

    Args:
        context: The repository and its record.
        conn: A reading transaction.
        commit: The commit.
        brought_by: The intents of the move that brought it.
    """

    def __init__(
        self, context: RepositoryContext, conn: Connection, commit: str, brought_by: Sequence[Intent]
    ) -> None:
        self._context, self._conn, self._commit = context, conn, commit
        self._first, self._move = brought_by[0], brought_by[-1]
        self._items = [self._item(intent) for intent in brought_by]
        tree_of = context.repository.tree_of
        self._tree, self._position_tree = tree_of(commit), tree_of(self._move.new)
        self._patch = self._patch_of_commit()

    def as_json(self) -> Json:
        """Return the public JSON form."""
        move = self._move
        patch_ids = [patch for item in self._items for patch in item.intent.commits]
        evidence = verdicts.evidence(self._conn, [*(item.row.id for item in self._items), *patch_ids])
        told = self._gates(evidence, self._position_tree)
        own = told if self._tree == self._position_tree else self._gates(evidence, self._tree)
        required = self._required(told)
        later = self._later_tree(required, evidence) if _missing(required, told) else None
        if later is not None:
            told = self._gates(evidence, later)
        missing = _missing(required, told)
        return {
            "commit": self._commit,
            "tree": self._tree,
            "landed": True,
            "proof": _kind(required, own=own, told=told, is_later=later is not None),
            "position": {
                "ref": move.ref,
                "old": self._first.old,
                "new": move.new,
                "tree": self._position_tree,
                "kind": move.kind,
                "at": move.completed_at,
            },
            "vouched_by": None if later is None else {"new": self._later_position(later), "tree": later},
            "items": [self._item_json(item) for item in self._items],
            "patch": self._patch_json(),
            "gates": told,
            "own_gates": [] if self._tree == self._position_tree else own,
            "missing": missing,
        }

    def _later_tree(self, required: Sequence[str], evidence: Sequence[Evidence]) -> str | None:
        """Return the tree of a later position that vouches for this one; None where none does, or may.

        Several trees have passed where the branch was moved by others meanwhile; the last one counts.
        """
        if any(item.promise is not Proof.LATER for item in self._items):
            return None
        trees = dict.fromkeys(each.tree for each in reversed(evidence))
        passed = (tree for tree in trees if not _missing(required, self._gates(evidence, tree)))
        return next(passed, None)

    def _later_position(self, tree: str) -> str | None:
        """Return the first position after this one with a tree; None where the branch has come to none."""
        repository = self._context.repository
        made = intents.moves_made(self._conn, self._context.identity.id)
        moves = [move.new for move in made if move.ref == self._move.ref]
        after = moves[moves.index(self._move.new) + 1 :]
        found = (new for new in after if repository.has_object(new) and repository.tree_of(new) == tree)
        return next(found, None)

    def _required(self, told: Sequence[Json]) -> list[str]:
        """Return the gates that had to pass: those of the workstreams; of a rollback, those that were run."""
        if self._move.kind == "landing":
            return list(dict.fromkeys(gate for item in self._items for gate in item.gates))
        return [gate["name"] for gate in told]

    def _item(self, intent: Intent) -> _Item:
        row = workstreams.get(self._conn, intent.workstream_id)
        plan = Plan.from_json(runs.get(self._conn, intent.run_id).plan)
        return _Item(row=row, intent=intent, gates=plan.landing_gates(row.name), promise=plan.promise)

    def _patch_of_commit(self) -> PatchRow | None:
        ids = [
            patch
            for item in self._items
            for patch, commit in item.intent.commits.items()
            if commit == self._commit
        ]
        found = patches.get_many(self._conn, ids)
        return found[ids[0]] if len(ids) == 1 else None  # a squashed commit is that of several

    def _gates(self, evidence: Iterable[Evidence], tree: str) -> list[Json]:
        """Return the executions that speak for or against a tree, each once."""
        mine = {each.gate_id: each for each in evidence if each.tree == tree}
        rows = gates.get_many(self._conn, list(mine))
        return [self._gate_json(rows[gate], each) for gate, each in mine.items() if gate in rows]

    def _gate_json(self, row: GateRow, evidence: Evidence) -> Json:
        log = self._context.paths.logs / row.log_path if row.log_path else None
        return {
            "name": row.name,
            "id": row.id,
            "run_id": row.run_id,
            "state": str(row.state),
            "reused": evidence.reused,
            "is_flaky": row.is_flaky,
            "attempts": row.attempts,
            "exit_code": row.exit_code,
            "seconds": None if row.duration_ms is None else row.duration_ms / 1000,
            "tree": row.tree,
            "at": evidence.created_at,
            "log": str(log) if log is not None and log.is_file() else None,
        }

    def _item_json(self, item: _Item) -> Json:
        return {
            "workstream": {"id": item.row.id, "name": item.row.name},
            "run_id": item.intent.run_id,
            "gates": list(item.gates),
        }

    def _patch_json(self) -> Json | None:
        if self._patch is None:
            return None
        return {"id": self._patch.id, "task": task_names(self._conn, [self._patch])[self._patch.task_id]}


def _kind(required: Sequence[str], *, own: Sequence[Json], told: Sequence[Json], is_later: bool) -> str:
    """Return the kind of a proof."""
    if required and not _missing(required, own):
        return str(Proof.COMMIT)
    if not required or _missing(required, told):
        return NONE
    return str(Proof.LATER if is_later else Proof.REF)


def _missing(required: Sequence[str], told: Sequence[Json]) -> list[str]:
    """Return the required gates of which no execution has passed."""
    passed = {gate["name"] for gate in told if gate["state"] == GateState.PASSED}
    return [name for name in required if name not in passed]


def _brought_by(context: RepositoryContext, conn: Connection, commit: str) -> list[Intent]:
    """Return the intents of the move that brought a commit; none where no move did."""
    named = [intent for intent in intents.that_brought(conn, commit) if _is_own(context, conn, intent)]
    made = [intent for intent in named if _holds(context, intent.new, commit)]
    intent = made[0] if made else _reached(context, conn, commit)
    if intent is None:
        return []
    return intents.of_one_move(conn, intent)


def _is_own(context: RepositoryContext, conn: Connection, intent: Intent) -> bool:
    return context.is_own(runs.get(conn, intent.run_id))


def _reached(context: RepositoryContext, conn: Connection, commit: str) -> Intent | None:
    """Return a move that brought a commit which it does not name: one of a branch's own history."""
    by_ref: dict[str, list[MadeMove]] = {}
    for move in intents.moves_made(conn, context.identity.id):
        by_ref.setdefault(move.ref, []).append(move)
    for moves in by_ref.values():
        first = _first_with(context, moves, commit)
        if first is not None and not (first.old and _holds(context, first.old, commit)):
            return intents.get(conn, first.intent)
    return None


def _first_with(context: RepositoryContext, moves: Sequence[MadeMove], commit: str) -> MadeMove | None:
    """Return the first of the moves of a ref that has a commit in its history, by halves."""
    low, high = 0, len(moves)
    while low < high:
        middle = (low + high) // 2
        if _holds(context, moves[middle].new, commit):
            high = middle
        else:
            low = middle + 1
    return moves[low] if low < len(moves) else None


def _holds(context: RepositoryContext, head: str, commit: str) -> bool:
    """Return whether a commit is in the history of another, which may be gone."""
    repository = context.repository
    return repository.has_object(head) and repository.is_ancestor(commit, head)
