"""Comparison of the record with a branch: each recorded landing is on it, and each landing on it is recorded.

The branch is public, and git identifies its whole history by hashes. So every recorded landing is looked up
in its history, the seals of those commits are anchors of the ledger, and each commit that names a run must be
on record. Trailers count only in commits that are on record as landings: a patch may contain any trailer, but
landed commits are known by their ids.
"""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from maingate.branch_audit.recorded_landings import Landings, RecordedLanding, RecordedMove, read
from maingate.branch_audit.unpushed_commits import Unpushed
from maingate.db.audit.findings import AuditFinding
from maingate.db.audit.ledger_check import Anchor
from maingate.db.engine import Database
from maingate.db.ledger.running_head import Position
from maingate.errors import GitError
from maingate.git.command import run_git
from maingate.git.repository import Repository
from maingate.ids import ENTITY_OF_PREFIX
from maingate.landing.ledger_trailers import RECORD, seal_of, trailers

RUN, ROLLBACK = "Maingate-Run", "Maingate-Rollback"
PATCH, WORKSTREAM = "Maingate-Patch", "Maingate-Workstream"


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A branch, or another revision, that the record is compared with.

    Args:
        name: Its name for people.
        commit: Its commit.
        targets: The targets whose landings must be in its history.
    """

    name: str
    commit: str
    targets: frozenset[str]


@dataclass(kw_only=True)
class Held:
    """Result of a comparison of the record with branches.

    Args:
        anchors: The seals of landings on record.
        findings: The problems.
        notes: Remarks for people.
    """

    anchors: list[Anchor] = field(default_factory=list)
    findings: list[AuditFinding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def find(self, entity_id: str | None, problem: str) -> None:
        """Add a finding about an entity."""
        machine = ENTITY_OF_PREFIX.get((entity_id or "").partition("_")[0])
        self.findings.append(
            AuditFinding(entity_type=machine, entity_id=entity_id, seq=None, problem=problem)
        )


def compare_branches(
    database: Database, repository: Repository, *, against: str | None = None, others: bool = False
) -> Held:
    """Return the result of a comparison of the record with branches.

    Args:
        database: The record.
        repository: The repository.
        against: A revision; None for all existing target branches.
        others: Whether landings from other records, such as another clone's, are accepted.

    Raises:
        RepositoryError: The revision names no commit.
        DatabaseError: The record could not be read.
    """
    held = Held()
    if repository.is_shallow:
        held.notes.append("this clone is shallow: landings beyond its history were not checked")
    before = read(database)
    branches = list(_branches(before, repository, against, held))
    now = read(database)  # a run may land meanwhile: landings are recorded before the branch moves
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
            what = f"no target is named {against}: only its own commits were checked"
            held.notes.append(f"no run on record lands on {against}: {what}")
        yield Branch(name=against, commit=repository.resolve_commit(against), targets=meant)
        return
    for ref in targets:
        head = _head(repository, ref)
        if head is None:
            held.notes.append(
                f"{ref} does not exist or cannot be read: its landings were not compared with a branch"
            )
        else:
            yield Branch(name=ref, commit=head, targets=frozenset({ref}))


def _head(repository: Repository, ref: str) -> str | None:
    try:
        return repository.ref_value(ref)
    except GitError:  # an invalid ref name: the row was changed, which the ledger check reports
        return None


def _is_meant(ref: str, against: str) -> bool:
    """Return whether a revision names a target: in full, in short, or as a remote's branch."""
    short = ref.removeprefix("refs/heads/")
    return against in {ref, short} or against.endswith(f"/{short}")


class _History:
    """The history of a branch, without git's replacements and grafts."""

    def __init__(self, repository: Repository, branch: Branch) -> None:
        self._repository, self.name, self.targets = repository, branch.name, branch.targets
        self._head = branch.commit
        self.commits = frozenset(self._listed())
        self.is_whole = not repository.is_shallow
        self.unpushed = Unpushed(repository, branch.name, branch.commit)

    def reaches(self, commit: str, ref: str) -> bool:
        """Return whether a commit is in this history or in that of the current target."""
        if commit in self.commits:
            return True
        head = None if ref in self.targets else _head(self._repository, ref)
        is_there = head is not None and self._repository.has_object(commit)
        return is_there and self._repository.is_ancestor(commit, head or "")

    def has_not_yet(self, commit: str, ref: str) -> bool:
        """Return whether the local target has a commit that this history lacks and never had."""
        return commit not in self.commits and self.unpushed.has(commit, ref)

    def why_missing(self, commit: str) -> str:
        """Return why a commit is not in this history, as far as git shows it."""
        if self.unpushed.was_there(commit):
            return f"is no longer in the history of {self.name} (rewritten or reset)"
        return f"is not in the history of {self.name} (the branch or the record was rewritten)"

    def of(self, commit: str) -> str:
        """Return the name of a commit for people."""
        return f"commit {commit[:12]} on {self.name}"

    def naming_runs(self) -> Sequence[str]:
        """Return the commits that seem to name a run or a rollback, newest first."""
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
    """Check every recorded landing in the history of its target, and collect the seals."""
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


def _look_for_move(move: RecordedMove, history: _History, held: Held) -> None:
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
    """Add a finding about a commit missing from the branch; not in a shallow clone."""
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
    """Check every commit that names a run against the record; return unknown runs."""
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
    commit: str, message: bytes, landed: Mapping[str, RecordedLanding], history: _History, held: Held
) -> None:
    """Check that the patch or workstream named by a recorded commit landed with that commit."""
    for named in (*trailers(message, PATCH)[-1:], *trailers(message, WORKSTREAM)[-1:]):
        if named in landed and landed[named].commit != commit:
            with_ = landed[named].commit
            held.find(named, f"{history.of(commit)} is on record as landed with {with_}")


def _is_copy(message: bytes, named: str, record: Landings, history: _History) -> bool:
    """Return whether a commit is a copy, such as a cherry-pick, of another landing.

    The original may be here or on its own target, since fixes are carried over.
    """
    patches = [record.patches.get(patch) for patch in trailers(message, PATCH)[-1:]]
    streams = [record.workstreams.get(stream) for stream in trailers(message, WORKSTREAM)[-1:]]
    places = [(each.commit, record.targets[each.run_id]) for each in (*patches, *streams) if each is not None]
    places += [(move.new, move.ref) for move in record.moves if move.id == named]
    return any(commit is not None and history.reaches(commit, ref) for commit, ref in places)


def _tell_of_strangers(
    strangers: Mapping[str, _Stranger], history: _History, held: Held, *, own: str | None, others: bool
) -> None:
    """Add findings about runs that are not on record: removed, or of another record."""
    for name, stranger in strangers.items():
        where = f"{history.of(stranger.commits[0])} names"
        if (count := len(stranger.commits)) > 1:
            where = f"{count} commits, the newest of them {history.of(stranger.commits[0])}, name"
        if others and len(stranger.records) == 1 and own not in stranger.records:
            held.notes.append(f"{where} {name}, which landed from another record ({min(stranger.records)})")
            continue
        hint = "removed, or it landed from another record, such as a colleague's clone (see `--others`)"
        if own in stranger.records:
            hint = "removed from it"
        held.find(None, f"{where} {name}, which is not on record: it was {hint}")
