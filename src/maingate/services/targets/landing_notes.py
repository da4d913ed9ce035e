"""Notes of landings: the gates that proved a commit of the target, for `git log --notes=maingate`.

A follower of the ledger writes them after the landing, in a thread of its own, so no landing waits for one. A
process that was killed before has the next one go on. The first time that a process comes to it, the newest
landings without a note get theirs as well.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from maingate.db.dao import intents, workstreams
from maingate.events import Event
from maingate.git.notes import noted_commits, write_notes
from maingate.monitoring.followers_in_use import NOTES_HOOK
from maingate.queries.proof import proof_of
from maingate.repository_context import RepositoryContext

NOTES_REF: Final = "refs/notes/maingate"
_NEWEST: Final = 100
"""Landings that are looked at for a missing note."""


class NotesHook:
    """The hook that writes a note for each position of a target that a landing made.

    Args:
        context: The repository and its record.
    """

    name = NOTES_HOOK
    batch = 200

    def __init__(self, context: RepositoryContext) -> None:
        self._context = context
        self._has_looked = False

    def take(self, batch: Sequence[Event]) -> None:
        """Write the notes of the workstreams that have landed with these events.

        Raises:
            GitError: They could not be written.
        """
        wanted = self._landed(batch)
        if wanted and not self._has_looked:
            wanted = [*self._missing(), *wanted]
        repository = self._context.repository
        notes = {
            commit: note_of(proof_of(self._context, commit))
            for commit in dict.fromkeys(wanted)
            if repository.has_object(commit)
        }
        if notes:
            write_notes(repository, NOTES_REF, notes, at=self._context.clock.now())
            self._has_looked = True

    def _landed(self, batch: Sequence[Event]) -> list[str]:
        done = [
            event.entity_id
            for event in batch
            if event.entity_type == "workstream" and event.to_state == "completed" and event.entity_id
        ]
        with self._context.database.read() as conn:
            rows = workstreams.get_many(conn, done)
        return [row.landed_commit for row in rows.values() if row.landed_commit is not None]

    def _missing(self) -> list[str]:
        """Return the newest positions of targets that have no note."""
        with self._context.database.read() as conn:
            made = intents.moves_made(conn, self._context.identity.id)
        there = noted_commits(self._context.repository, NOTES_REF)
        return [move.new for move in made[-_NEWEST:] if move.new not in there]


def note_of(told: Mapping[str, Any]) -> bytes:
    """Return the text of a note: a proof in its public JSON form, as lines of `Key: value`."""
    lines = [f"Maingate-Proof: {told['proof']}"]
    for item in told["items"]:
        stream = item["workstream"]
        lines += [f"Maingate-Run: {item['run_id']}", f"Maingate-Workstream: {stream['id']} {stream['name']}"]
    lines += _gate_lines(told["gates"])
    lines += [f"Maingate-Missing: {name}" for name in told["missing"]]
    return "".join(f"{' '.join(line.split())}\n" for line in lines).encode(errors="backslashreplace")


def _gate_lines(executions: Iterable[Mapping[str, Any]]) -> list[str]:
    return [
        f"Maingate-Gate: {each['name']} {each['state']} {each['id']}{' reused' if each['reused'] else ''}"
        for each in executions
    ]
