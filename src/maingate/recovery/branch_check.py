"""Hold the record against a branch: what landed is there, and what is there is on record.

The branch is where others can see it, and git names all of its history by hashes. So what is on record of
landings is looked for in its history, the seals of those commits are anchors for the ledger, and a commit
that names a run must be one that the record has. The words of a message count only where the commit is on
record as a landing: a patch may bring any trailer along, but its own commits are known by their ids.
"""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from maingate.db.engine import Database
from maingate.db.findings import AuditFinding
from maingate.db.ledger import Position
from maingate.db.ledger_check import Anchor
from maingate.errors import GitError
from maingate.git.command import run_git
from maingate.git.repository import Repository
from maingate.ids import ENTITY_OF_PREFIX
from maingate.landing.sealing import RECORD, seal_of, trailers
from maingate.recovery.landings import Landed, Landings, Move, read
from maingate.recovery.unpushed import Unpushed

RUN, ROLLBACK = "Maingate-Run", "Maingate-Rollback"
PATCH, WORKSTREAM = "Maingate-Patch", "Maingate-Workstream"


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A branch, or another revision, to hold the record against.

    Args:
        name: What people call it.
        commit: Where it is.
        targets: The targets whose landings must be in its history.
    """

    name: str
    commit: str
    targets: frozenset[str]


@dataclass(kw_only=True)
class Held:
    """What came of holding the record against branches.

    Args:
        anchors: The seals of landings on record.
        findings: What is wrong.
        notes: What people should know.
    """

    anchors: list[Anchor] = field(default_factory=list)
    findings: list[AuditFinding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def find(self, entity_id: str | None, problem: str) -> None:
        """Note that something is wrong, and with what."""
        machine = ENTITY_OF_PREFIX.get((entity_id or "").partition("_")[0])
        self.findings.append(
            AuditFinding(entity_type=machine, entity_id=entity_id, seq=None, problem=problem)
        )


def hold(
    database: Database, repository: Repository, *, against: str | None = None, others: bool = False
) -> Held:
    """Hold the record against branches.

    Args:
        database: The record.
        repository: The repository.
        against: A revision; None for the branches of all targets that are there.
        others: Whether to accept landings by other records, such as those of another clone.

    Raises:
        RepositoryError: The revision means no commit.
        DatabaseError: The record could not be read.
    """
    held = Held()
    if repository.is_shallow:
        held.notes.append("this clone is shallow: landings that it does not reach were not looked for")
    before = read(database)
    branches = list(_branches(before, repository, against, held))
    now = read(database)  # a run may land meanwhile; what a branch got is on record before
    for branch in branches:
        history = _History(repository, branch)
        _look_for_landed(before, history, held)
        strangers = _look_at_branch(now, history, held)
        _tell_of_strangers(strangers, history, held, own=database.record_id, others=others)
    return held


def _branches(record: Landings, repository: Repository, against: str | None, held: Held) -> Iterator[Branch]:
    targets = sorted(set(record.targets.values()))
    if against is not None:
        meant = frozenset(ref for ref in targets if _is_meant(ref, against))
        meant = meant or frozenset(targets if len(targets) == 1 else ())
        if not meant:
            what = f"only what {against} has was looked for in the record"
            held.notes.append(f"no run on record lands on {against}: {what}")
        yield Branch(name=against, commit=repository.resolve_commit(against), targets=meant)
        return
    for ref in targets:
        head = _head(repository, ref)
        if head is None:
            held.notes.append(
                f"{ref} is not there, or cannot be read: its landings were held against no branch"
            )
        else:
            yield Branch(name=ref, commit=head, targets=frozenset({ref}))


def _head(repository: Repository, ref: str) -> str | None:
    try:
        return repository.ref_value(ref)
    except GitError:  # no name of a ref: it was changed, which the ledger tells
        return None


def _is_meant(ref: str, against: str) -> bool:
    """Return whether a revision is called like a target: in full, in short, or as a remote's."""
    short = ref.removeprefix("refs/heads/")
    return against in {ref, short} or against.endswith(f"/{short}")


class _History:
    """The history of a branch; git's replacements and grafts are not looked at."""

    def __init__(self, repository: Repository, branch: Branch) -> None:
        self._repository, self.name, self.targets = repository, branch.name, branch.targets
        self._head = branch.commit
        self.commits = frozenset(self._listed())
        self.is_whole = not repository.is_shallow
        self.unpushed = Unpushed(repository, branch.name, branch.commit)

    def reaches(self, commit: str, ref: str) -> bool:
        """Return whether a commit is in this history, or in that of a target as it is now."""
        if commit in self.commits:
            return True
        head = None if ref in self.targets else _head(self._repository, ref)
        is_there = head is not None and self._repository.has_object(commit)
        return is_there and self._repository.is_ancestor(commit, head or "")

    def has_not_yet(self, commit: str, ref: str) -> bool:
        """Return whether a target, as it is here, has a commit that this history lacks and never had."""
        return commit not in self.commits and self.unpushed.has(commit, ref)

    def why_missing(self, commit: str) -> str:
        """Return how it came that a commit is not in this history, as far as that can be seen."""
        if self.unpushed.was_there(commit):
            return f"is not in the history of {self.name} any more: that was rewritten or set back"
        return f"is not in the history of {self.name}: that was rewritten, or the record was"

    def of(self, commit: str) -> str:
        """Return how people call a commit of it."""
        return f"commit {commit[:12]} on {self.name}"

    def naming_runs(self) -> Sequence[str]:
        """List the commits that seem to name a run or a rollback, newest first."""
        return self._listed(f"--grep=^{RUN}: ", f"--grep=^{ROLLBACK}: ")

    def message_of(self, commit: str) -> bytes:
        """Return the message of a commit."""
        return self._repository.read_commit(commit).message

    def _listed(self, *filters: str) -> Sequence[str]:
        words = ("--no-replace-objects", "rev-list", *filters, self._head, "--")
        said = run_git(*words, git_dir=self._repository.git_dir, env={"GIT_GRAFT_FILE": os.devnull})
        return said.stdout.decode().split()


# -- from the record to the branch ---------------------------------------------------------------------------


def _look_for_landed(record: Landings, history: _History, held: Held) -> None:
    """Look for all that has landed in the history of its target, and gather the seals."""
    landed = [move for move in record.moves if move.state == "landed" and move.ref in history.targets]
    later: set[str] = set()
    for move in landed:
        if history.has_not_yet(move.new, move.ref):
            history.unpushed.count(move.ref)
            later |= {move.new, *move.commits.values()}
        elif move.new != move.old:
            _look_for_move(move, history, held)
    held.notes += history.unpushed.notes()
    made = {(move.workstream_id, move.new) for move in landed}
    for each in record.landed:
        if record.targets[each.run_id] not in history.targets:
            continue
        if each.id in record.workstreams:
            if (each.id, each.commit) not in made:
                held.find(each.id, f"landed with commit {each.commit}, but no landing on record made that")
        elif each.commit not in history.commits and each.commit not in later:
            _miss(each.id, "landed", str(each.commit), history, held)


def _look_for_move(move: Move, history: _History, held: Held) -> None:
    what = "was rolled back" if move.kind == "rollback" else "landed"
    if move.new not in history.commits:
        _miss(move.workstream_id, what, move.new, history, held)
        return
    where = history.of(move.new)
    seal = seal_of(history.message_of(move.new))
    if seal is None:
        held.find(move.workstream_id, f"{what} with {where}, which does not carry the head of the ledger")
    else:
        held.anchors.append(Anchor(position=Position(seq=seal[0], head=seal[1]), where=where))


def _miss(entity_id: str, what: str, commit: str, history: _History, held: Held) -> None:
    """Tell that a commit is not in the branch's history; in a shallow clone that means nothing."""
    if history.is_whole:
        held.find(entity_id, f"{what} with commit {commit}, which {history.why_missing(commit)}")


# -- from the branch to the record ---------------------------------------------------------------------------


@dataclass(kw_only=True)
class _Stranger:
    """A run that a branch names and the record does not have.

    Args:
        commits: The commits that name it, newest first.
        records: The records that the seals among them name.
    """

    commits: list[str] = field(default_factory=list)
    records: set[str] = field(default_factory=set)


def _look_at_branch(record: Landings, history: _History, held: Held) -> Mapping[str, _Stranger]:
    """Look for each commit that names a run in the record, and return the runs that it does not have."""
    known, landed_as = record.commits(), {each.id: each for each in record.landed}
    names = {*record.targets, *(move.id for move in record.moves if move.kind == "rollback")}
    strangers: dict[str, _Stranger] = defaultdict(_Stranger)
    copies = 0
    for commit in history.naming_runs():
        message = history.message_of(commit)
        named = (trailers(message, RUN) or trailers(message, ROLLBACK) or [""])[-1]
        if commit in known:
            _compare_names(commit, message, landed_as, history, held)
        elif named in names and _is_copy(message, named, record, history):
            copies += 1
        elif named in names:
            held.find(named, f"{history.of(commit)} names {named}, which has no such commit on record")
        elif named:
            strangers[named].commits.append(commit)
            strangers[named].records.update(trailers(message, RECORD)[-1:])
    if copies:
        held.notes.append(f"{copies} on {history.name} are copies, made by hand, of commits that landed")
    return strangers


def _compare_names(
    commit: str, message: bytes, landed: Mapping[str, Landed], history: _History, held: Held
) -> None:
    """Make sure that the patch or workstream which a commit on record names has landed with that commit."""
    for named in (*trailers(message, PATCH)[-1:], *trailers(message, WORKSTREAM)[-1:]):
        if named in landed and landed[named].commit != commit:
            with_ = landed[named].commit
            held.find(named, f"{history.of(commit)} is its own, but on record it landed with {with_}")


def _is_copy(message: bytes, named: str, record: Landings, history: _History) -> bool:
    """Return whether a commit names what has landed with another commit that is there: a cherry-pick, say.

    The other one is looked for here and on the target that it landed on, for fixes are carried over.
    """
    patches = [record.patches.get(patch) for patch in trailers(message, PATCH)[-1:]]
    streams = [record.workstreams.get(stream) for stream in trailers(message, WORKSTREAM)[-1:]]
    places = [(each.commit, record.targets[each.run_id]) for each in (*patches, *streams) if each is not None]
    places += [(move.new, move.ref) for move in record.moves if move.id == named]
    return any(commit is not None and history.reaches(commit, ref) for commit, ref in places)


def _tell_of_strangers(
    strangers: Mapping[str, _Stranger], history: _History, held: Held, *, own: str | None, others: bool
) -> None:
    """Tell of runs that are not on record: removed, or by another record, which may be accepted."""
    for name, stranger in strangers.items():
        where = f"{history.of(stranger.commits[0])} names"
        if (count := len(stranger.commits)) > 1:
            where = f"{count} commits, the newest of them {history.of(stranger.commits[0])}, name"
        if others and len(stranger.records) == 1 and own not in stranger.records:
            held.notes.append(f"{where} {name}, which landed by another record ({min(stranger.records)})")
            continue
        hint = "removed, or landed by another record, as a colleague's clone has (`--others` accepts those)"
        if own in stranger.records:
            hint = "removed from it"
        held.find(None, f"{where} {name}, which is not on record: it was {hint}")
