"""Resolution of the words that name an entity: an identifier, its beginning, or a plan's own name."""

from collections.abc import Collection, Mapping, Sequence

from maingate.db.dao import patches, runs, tasks, workstreams
from maingate.db.dao.names import lookup
from maingate.db.dao.names.lookup import Found
from maingate.db.dao.patches import PatchRow
from maingate.db.dao.tasks import TaskRow
from maingate.db.sql.connection import Connection
from maingate.errors import UnknownEntityError, UsageError
from maingate.ids import RunId
from maingate.repository_context import RepositoryContext
from maingate.state.task import TASK
from maingate.wording import short


def find_run(context: RepositoryContext, text: str | None) -> RunId:
    """Return a run by its id, by the beginning of it, or else the newest run of that name.

    Args:
        context: The repository and its record.
        text: The words; None for the newest run.

    Raises:
        UsageError: There are no runs.
        UnknownEntityError: No run has this id or name.
    """
    with context.database.read() as conn:
        if text is not None:
            return RunId(run_named(conn, text))
        newest = runs.newest(conn)
    if newest is None:
        root = context.repository.root
        raise UsageError(f"no runs in {root} yet; `maingate land BRANCH` or `maingate run PLAN` starts one")
    return RunId(newest.id)


def find_entity(
    context: RepositoryContext, text: str, *, kinds: Collection[str], run: str | None = None
) -> Found:
    """Return the one entity that a text names.

    Args:
        context: The repository and its record.
        text: The words.
        kinds: Only entities of these machines.
        run: The words that name the run in which names are looked for; None for the newest.

    Raises:
        UnknownEntityError: Nothing is called so.
        AmbiguousNameError: Several are.
    """
    with context.database.read() as conn:
        within = None if run is None else run_named(conn, run)
        return lookup.find(conn, text, kinds=kinds, run_id=within)


def find_id(context: RepositoryContext, text: str) -> str:
    """Return the id of whatever is called so in the newest run where anything is.

    Raises:
        UnknownEntityError: Nothing is called so in any.
        AmbiguousNameError: Several are, in that run.
    """
    with context.database.read() as conn:
        return lookup.find_in_newest(conn, text).id


def owners_of(context: RepositoryContext, entity_id: str) -> list[str | None]:
    """Return the repository's own id of each entity that has an id, or the beginning of one.

    None stands for an entity of no run, such as a breaker. The list is empty when the record has none.
    """
    with context.database.read() as conn:
        return lookup.repositories_of(conn, entity_id)


def run_named(conn: Connection, text: str) -> str:
    """Return a run by its id, by the beginning of it, or else the newest run of that name."""
    return lookup.find_in_newest(conn, text, kinds=["run"]).id


def older_run(conn: Connection, run_id: str) -> str | None:
    """Return a run's id where it is not the newest one; None where it is."""
    newest = runs.newest(conn)
    return None if newest is None or newest.id == run_id else run_id


def find_patch(context: RepositoryContext, text: str, *, run: str | None = None) -> PatchRow:
    """Return a patch by its id, the beginning of it, or the name of its task (the newest patch counts).

    Args:
        context: The repository and its record.
        text: The words.
        run: The words that name the run in which names are looked for; None for the newest that has it.

    Raises:
        UnknownEntityError: Nothing is called so, or the task has no patch.
        AmbiguousNameError: Several are.
    """
    with context.database.read() as conn:
        return patch_named(conn, text, run=run)


def patch_named(conn: Connection, text: str, *, run: str | None = None) -> PatchRow:
    """Return a patch as :func:`find_patch` does."""
    row = patch_or_task_named(conn, text, run=run)
    if isinstance(row, TaskRow):
        raise UnknownEntityError(
            text, f"task {short(row.name)} has no patch; `maingate patch show {row.id}` shows its attempts"
        )
    return row


def patch_or_task_named(conn: Connection, text: str, *, run: str | None = None) -> PatchRow | TaskRow:
    """Return a patch as :func:`find_patch` does, and where a task that was tried has none, the task.

    Raises:
        UnknownEntityError: Nothing is called so, or the task was never tried.
        AmbiguousNameError: Several are.
    """
    kinds = ["patch_ledger", "task"]
    if run is not None:
        found = lookup.find(conn, text, kinds=kinds, run_id=run_named(conn, run))
    else:
        found = lookup.find_in_newest(conn, text, kinds=kinds)
    if found.machine == "patch_ledger":
        return patches.get(conn, found.id)
    if of_task := patches.of_task(conn, found.id):
        return patches.present(of_task)[found.id]
    task = tasks.get(conn, found.id)
    if not task.attempt:
        raise UnknownEntityError(text, _without_patch(short(found.name), task))
    return task


def task_names(conn: Connection, rows: Sequence[PatchRow]) -> Mapping[str, str]:
    """Return the full name of each patch's task, by task id."""
    of_tasks = tasks.get_many(conn, {row.task_id for row in rows})
    streams = workstreams.get_many(conn, {row.workstream_id for row in rows})
    return {str(id_): f"{streams[task.workstream_id].name}/{task.name}" for id_, task in of_tasks.items()}


def _without_patch(name: str, task: TaskRow) -> str:
    """Return why a task that was never tried has no patch."""
    if TASK.is_terminal(task.state):
        why = f": {task.reason.code}: {task.reason.message}" if task.reason else ""
        return f"task {name} has no patch: it is {task.state} and never ran{why}"
    return f"task {name} has no patch yet; `maingate status --all` shows its state"
