"""A repository in memory that outlives crashes, patches that are JSON, and a person's checkout.

Commits and trees are git's own but for their names, so that trees, merges and landings are Maingate's real
code; only where they are kept, and libgit2's merge of one file, are simulated.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from maingate.errors import GitError
from maingate.git.commit_rules import CommitRules, CommitSettings
from maingate.git.library import ObjectType
from maingate.git.merge import MergeConflict, _Merge
from maingate.git.merge_rules import MergeRules
from maingate.git.refs import RefMoved
from maingate.git.repository import Repository
from maingate.git.targets import Target
from maingate.git.trees import GitEntry
from maingate.landing.move import Obstruction
from maingate.landing.move_values import Move as RefMove
from maingate.reasons import Reason, ReasonCode
from maingate.uet.step_values import Committed, Order, Piece, Taken, message_of
from simulation.virtual_world import BEGINNING, World

TARGET = "refs/heads/main"
FILE = 0o100644


@dataclass(frozen=True, kw_only=True)
class Move:
    """One move of the target: by whom, from where to where, and when."""

    by: str
    old: str
    new: str
    at: float


class SimulatedRepository(Repository):
    """Objects and refs in memory; whoever asks may be killed at any question."""

    def __init__(self, world: World, files: dict[str, str]) -> None:
        git_dir = world.folder / "repository"
        super().__init__(opened_at=git_dir, git_dir=git_dir, root=git_dir, is_bare=True)
        self._world = world
        self._objects: dict[str, bytes] = {}
        self._ancestors: dict[str, frozenset[str]] = {}
        self.refs: dict[str, str] = {}
        self.moves: list[Move] = []
        tree = self.splice(
            self.write_tree(b""), {path.encode(): self._blob(text) for path, text in files.items()}
        )
        self.refs[TARGET] = self.commit(tree=tree, parents=[], message="the beginning", date=BEGINNING)

    # -- what the code asks ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Nothing is open."""

    @property
    def is_partial(self) -> bool:
        """Whether objects may be missing: none is."""
        return False

    def _read(self, object_id: str, kind: ObjectType) -> bytes:
        if object_id not in self._objects:
            raise GitError(f"there is no {kind.name} {object_id}")
        return self._objects[object_id]

    def _write(self, kind: ObjectType, content: bytes) -> str:
        self._world.reach(f"git: write a {kind.name.lower()}")
        name = hashlib.sha256(b"%d " % kind + content).hexdigest()[:40]
        self._objects[name] = content
        return name

    def has_object(self, object_id: str) -> bool:
        """Tell whether an object is there."""
        self._world.reach("git: look for an object")
        return object_id in self._objects

    def resolve_target(self, name: str | None = None) -> Target:
        """Find the branch."""
        assert name in {None, "main"}
        return Target(ref=TARGET, commit=self.refs[TARGET])

    def read_merge_rules(self) -> MergeRules:
        """Return that nobody has configured any."""
        return MergeRules()

    def read_commit_rules(self, settings: CommitSettings) -> CommitRules:
        """Return that nobody has configured any."""
        assert settings
        return CommitRules()

    def ref_value(self, ref: str) -> str | None:
        """Read a ref."""
        self._world.reach("git: read a ref")
        return self.refs.get(ref)

    def update_ref(
        self, ref: str, new: str | None, old: str | None, *, message: str, keep_open: Sequence[int] = ()
    ) -> RefMoved | None:
        """Move the target by compare-and-swap."""
        del keep_open
        self._world.reach("git: before update-ref")
        assert ref == TARGET
        assert new is not None
        assert old is not None
        if self.refs[ref] != old:
            return RefMoved(ref=ref, expected=old, found=self.refs[ref])
        self._world.trace(f"update-ref {old[:8]} → {new[:8]}: {message}")
        self.moves.append(Move(by=message, old=old, new=new, at=self._world.loop.time()))
        self.refs[ref] = new
        self._world.reach("git: after update-ref")
        return None

    def keep(self, ref: str, commit: str) -> None:
        """Write one of Maingate's own refs."""
        self._world.reach("git: keep")
        assert commit in self._objects
        self.refs[ref] = commit

    def keep_all(self, commits: Mapping[str, str]) -> None:
        """Set refs, one after the other."""
        for ref, commit in commits.items():
            self.keep(ref, commit)

    def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Tell whether a commit is in the history of another."""
        self._world.reach("git: is it an ancestor")
        return ancestor in self.history(descendant)

    def merge_base(self, one: str, other: str) -> str | None:
        """Find the best common ancestor: the one with the longest history."""
        common = self.history(one) & self.history(other)
        return max(common, key=lambda commit: (len(self.history(commit)), commit), default=None)

    # -- what others do, and what is looked at afterwards ----------------------------------------------------

    def history(self, commit: str) -> frozenset[str]:
        """Return a commit and all before it."""
        if commit not in self._ancestors:
            parents = self.read_commit(commit).parents
            self._ancestors[commit] = frozenset({commit}).union(*(self.history(each) for each in parents))
        return self._ancestors[commit]

    def files(self, commit: str) -> dict[str, str]:
        """Return the files of a commit."""
        tree = self.tree_of(commit)
        return {path.decode(): self.read_blob(entry.id).decode() for path, entry in self.list_files(tree)}

    def push(self, onto: str, path: str, text: str, *, by: str) -> None:
        """Let somebody else put a commit on the target."""
        tree = self.splice(self.tree_of(onto), {path.encode(): self._blob(text)})
        new = self.commit(tree=tree, parents=[onto], message=by, date=BEGINNING)
        self._world.trace(f"{by} {self.refs[TARGET][:8]} → {new[:8]}")
        self.moves.append(Move(by=by, old=self.refs[TARGET], new=new, at=self._world.loop.time()))
        self.refs[TARGET] = new

    def _blob(self, text: str) -> GitEntry:
        return GitEntry(mode=FILE, id=self.write_blob(text.encode()))


def merge_by_files(merge: _Merge) -> str | MergeConflict:
    """Merge as git is asked to: a file that both sides changed in different ways is a conflict."""
    repository, ours, theirs = merge.repository, merge.ours, merge.theirs
    common = repository.merge_base(*merge.commits())
    assert common is not None
    base = repository.tree_of(common)
    by_us, by_them = repository.changed_paths(base, ours), repository.changed_paths(base, theirs)
    both = [path for path in by_us.keys() & by_them.keys() if by_us[path][1] != by_them[path][1]]
    if both:
        return MergeConflict(tuple(sorted(both)))
    return repository.splice(ours, {path: now for path, (_, now) in by_them.items()})


@dataclass(frozen=True)
class SimulatedIntake:
    """A patch that was understood: what it wants a file to be, and to have been."""

    path: str
    old: str | None
    new: str
    header: None = None
    repairs: tuple[Any, ...] = ()

    @property
    def key(self) -> str:
        """What it changes."""
        return repr((self.path, self.old, self.new))

    @property
    def scope(self) -> Any:
        """What it touches."""
        facts = {"files": 1, "insertions": 1, "deletions": 0, "hunks": 1, "paths": [self.path]}
        return SimpleNamespace(as_json=lambda: facts, paths=(self.path.encode(),))


class SimulatedExecutor:
    """Does to patches what the real one does, with patches that are JSON."""

    def __init__(self, world: World, repository: SimulatedRepository, patches: dict[str, bytes]) -> None:
        self._world, self._repository, self._patches = world, repository, patches

    def take(self, path: Path, order: Order, *, base_tree: str) -> Taken:
        """Read a patch."""
        self._world.reach("git: take a patch")
        return self.take_again(self._patches[path.name], order, base_tree=base_tree)

    def take_again(self, diff: bytes, order: Order, *, base_tree: str) -> Taken:
        """Understand a patch."""
        self._world.reach("git: understand a patch")
        assert order.label
        assert base_tree
        try:
            intake: Any = SimulatedIntake(**json.loads(diff))
        except ValueError:
            reason = Reason(code=ReasonCode.FORMAT_INVALID, message="garbage")
            return Taken(diff=diff, refusal=reason)
        if intake.path.startswith("secrets/"):
            reason = Reason(code=ReasonCode.POLICY_VIOLATION, message=f"{intake.path} is forbidden")
            return Taken(diff=diff, intake=intake, refusal=reason, violates=True)
        return Taken(diff=diff, intake=intake)

    def apply(
        self, patches: Sequence[Piece], *, onto: str, tree: str
    ) -> tuple[list[Committed], Reason | None]:
        """Apply patches, each on the one before, up to the first that does not apply."""
        made: list[Committed] = []
        for piece in patches:
            intake: Any = piece.intake
            self._world.reach("git: apply a patch")
            path = intake.path.encode()
            there = self._repository.blob_at(tree, path)
            if (None if there is None else there.data.decode()) != intake.old:
                message = f"{intake.path} is not as it should be"
                return made, Reason(code=ReasonCode.CONFLICT, message=message)
            blob = self._repository.write_blob(intake.new.encode())
            tree = self._repository.splice(tree, {path: GitEntry(mode=FILE, id=blob)})
            onto = self._repository.commit(
                tree=tree,
                parents=[onto],
                message=message_of(piece.order, None),
                date=self._world.now(),
                trailers=piece.trailers,
            )
            made.append(Committed(commit=onto, tree=tree, method="exact"))
        return made, None


class Checkout:
    """A person's working tree with the target checked out; at times, what is in it is in the way.

    Args:
        exists: Whether there is one.
    """

    def __init__(self, world: World, repository: SimulatedRepository, *, exists: bool) -> None:
        self._world = world
        self.path = Path("/checkout") if exists else None
        self.commit = repository.refs[TARGET]
        self.is_in_the_way = False
        self._owed: tuple[str, str] | None = None

    def land(
        self,
        repository: Repository,
        move: RefMove,
        *,
        before: Callable[[], None],
        after: Callable[[], None],
        **_: Any,
    ) -> RefMoved | Obstruction | tuple[()]:
        """Move the target, and it along, unless something is in the way."""
        self._world.reach("git: look for a checkout")
        self.catch_up(repository, move.ref)
        if self.path is not None and self.is_in_the_way and repository.ref_value(move.ref) == move.old:
            return Obstruction(message="notes.txt would be overwritten")
        before()
        self._owed = (move.old, move.new)
        moved = repository.update_ref(move.ref, move.new, move.old, message=move.message)
        if moved is not None:
            self._owed = None
            return moved
        after()
        self.catch_up(repository, move.ref)
        return ()

    def catch_up(self, repository: Repository, ref: str, **_: Any) -> tuple[()]:
        """Move along with the target, where a landing of it says that this is owed."""
        self._world.reach("git: before the checkout")
        owed, head = self._owed, repository.ref_value(ref)
        if owed is not None and head is not None and repository.is_ancestor(owed[1], head):
            self.commit = owed[1] if self.commit == owed[0] else self.commit
        self._owed = None
        self._world.reach("git: after the checkout")
        return ()
