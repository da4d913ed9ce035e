"""The candidate of a landing: a merge commit, a squashed commit, or the commits of a workstream in a row.

Building a candidate moves no ref. The tree is the same in all three styles, only the history differs, so a
verdict on the tree holds for any of them. When the target has not moved since the workstream began, that tree
is the one its own patches were proved on. Where a merge takes changes to paths that no patch has named,
policy judges them (`landing.strayed`).

The last commit of a candidate never lands as it is built: it is made again with its seal (`sealed`), and
signed then. So it has no signature before, where it is made by `build` or `moved`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from maingate.commits import Candidate, LandingInput, Tip
from maingate.git.commits import commit_content
from maingate.git.growing_history import GrowingHistory
from maingate.git.merge import MergeConflict, RebaseConflict, merge_commits, rebase
from maingate.git.repository import MAINGATE_MAIL, Repository, Signature
from maingate.ids import PatchId
from maingate.landing.strayed import JudgeStrayed, refusal_of, strayed_in_merge, strayed_in_rebase
from maingate.plan.choices import LandingStyle
from maingate.reasons import Reason, ReasonCode
from maingate.wording import listed

_CO_AUTHOR: Final = re.compile(rb"^Co-authored-by: *(\S[^\r\n]*?)\s*$", re.IGNORECASE | re.MULTILINE)
_TRAILER: Final = re.compile(rb"([A-Za-z][A-Za-z0-9-]*): +(\S.*)")
_OURS: Final = f"<{MAINGATE_MAIL}>".encode()


def build(
    repository: Repository,
    landing: LandingInput,
    *,
    style: LandingStyle,
    onto: Tip,
    target: str,
    at: datetime,
    judge: JudgeStrayed,
    history: GrowingHistory | None = None,
) -> Candidate | Reason:
    """Return the commit that a workstream would land as.

    Args:
        repository: The repository that commits are written to.
        landing: The workstream.
        style: How the run lands.
        onto: The target's head.
        target: Full name of the target, for the message.
        at: The time that commits are stamped with.
        judge: Returns why policy refuses what a merge changes elsewhere.
        history: The history of the target's head, where it is known.

    Returns:
        The candidate, or the reason why the workstream conflicts with the target, why policy refuses what it
        would change there, or that it would change nothing, because all of it came in meanwhile.
    """
    if style is LandingStyle.REBASE or _is_rewritten(repository, landing, onto, history):
        replayed = _rebased(repository, landing, onto, at, judge)
        if isinstance(replayed, Reason) or style is LandingStyle.REBASE:
            return replayed
        tree, settled, commits = replayed.tip.tree, replayed.tip.commit, replayed.commits
        steps = replayed.steps
    else:
        tree, settled, commits = landing.settled.tree, landing.settled.commit, dict(landing.commits)
        steps = ()
        if onto.commit != landing.base.commit:
            merged = merge_commits(repository, ours=onto.commit, theirs=settled, into=target, history=history)
            if isinstance(merged, MergeConflict):
                return _conflict(landing, merged.paths, onto)
            own = (landing.base.tree, landing.settled.tree)
            strayed = strayed_in_merge(repository, landing.commits, own=own, merge=(onto.tree, merged))
            if refused := refusal_of(strayed, judge):
                return refused
            tree = merged
    if _changes_nothing(landing, tree, onto):
        return _there_already(landing, onto)
    if style is LandingStyle.SQUASH:
        return _squashed(repository, landing, onto, tree, at=at)
    head = repository.commit(
        tree=tree,
        parents=[onto.commit, settled],
        message=f"Merge {landing.name} into {target.removeprefix('refs/heads/')}\n\n{landing.title}",
        date=at,
        trailers=_trailers(landing),
        is_trial=True,
    )
    return Candidate(onto=onto, tip=Tip(commit=head, tree=tree), commits=commits, steps=steps)


def moved(repository: Repository, candidate: Candidate, onto: Tip) -> Candidate:
    """Return a candidate whose commits are made again on another commit with the same tree.

    Args:
        repository: The repository that commits are written to.
        candidate: The candidate.
        onto: The commit.
    """
    if candidate.onto.commit == onto.commit:
        return candidate
    path = []
    commit = candidate.tip.commit
    while commit != candidate.onto.commit:
        path.append(commit)
        commit = repository.read_commit(commit).parents[0]
    steps = [tip.commit for _, tip in candidate.steps]
    merged = steps if candidate.tip.commit not in steps else []  # made on the same commit, before the merge
    now = {candidate.onto.commit: onto.commit}
    for old_id in (*merged, *reversed(path)):
        old = repository.read_commit(old_id)
        write = repository.write_commit if old_id == candidate.tip.commit else repository.finish_commit
        now[old_id] = write(
            commit_content(
                tree=old.tree,
                parents=[now.get(parent, parent) for parent in old.parents],
                message=old.message,
                author=old.author,
                committer=old.committer,
            )
        )
    return _renamed(replace(candidate, onto=onto), now)


def sealed(candidate: Candidate, seal: Callable[[str], str]) -> Candidate:
    """Return a candidate whose last commit is made again with a seal, its tree and parents alike.

    Args:
        candidate: The candidate; one that is what the target holds already is returned as it is.
        seal: Makes a commit again with the seal, and returns its id.
    """
    tip = candidate.tip
    if tip.commit == candidate.onto.commit:
        return candidate
    return _renamed(candidate, {tip.commit: seal(tip.commit)})


def _renamed(candidate: Candidate, now: Mapping[str, str]) -> Candidate:
    """Return a candidate whose commits were made again, with the trees that they had."""

    def tip(old: Tip) -> Tip:
        return Tip(commit=now.get(old.commit, old.commit), tree=old.tree)

    return replace(
        candidate,
        tip=tip(candidate.tip),
        commits={patch: now.get(own, own) for patch, own in candidate.commits.items()},
        steps=tuple((patch, tip(own)) for patch, own in candidate.steps),
    )


def _is_rewritten(
    repository: Repository, landing: LandingInput, onto: Tip, history: GrowingHistory | None = None
) -> bool:
    """Return whether the target lost the commit that the workstream began on: a merge would restore that."""
    base = landing.base.commit
    if onto.commit == base:
        return False
    return not (repository.is_ancestor(base, onto.commit) if history is None else history.has(base))


def _squashed(
    repository: Repository, landing: LandingInput, onto: Tip, tree: str, *, at: datetime
) -> Candidate:
    made = [repository.read_commit(commit) for _, commit in landing.commits]
    messages, authors = [each.message for each in made], [each.author for each in made]
    own = repository.commit_rules.committer(at).as_bytes().rsplit(b" ", 2)[0]
    head = repository.commit(
        tree=tree,
        parents=[onto.commit],
        message=_squash_message(landing, messages),
        author=_only_author(authors, at),
        date=at,
        trailers=[
            *_kept_trailers(messages),
            *_co_authors(messages, authors, own),
            *_trailers(landing),
        ],
        is_trial=True,
    )
    commits = {patch_id: head for patch_id, _ in landing.commits}
    return Candidate(onto=onto, tip=Tip(commit=head, tree=tree), commits=commits)


def _rebased(
    repository: Repository, landing: LandingInput, onto: Tip, at: datetime, judge: JudgeStrayed
) -> Candidate | Reason:
    if onto.commit == landing.base.commit:
        return _in_a_row(repository, onto, landing.settled, dict(landing.commits))
    moved = rebase(repository, [commit for _, commit in landing.commits], onto=onto.commit, date=at)
    if isinstance(moved, RebaseConflict):
        if _is_there_as_a_whole(repository, landing, onto):
            return _there_already(landing, onto)
        return _conflict(landing, moved.paths, onto, commit=moved.commit)
    strayed = strayed_in_rebase(repository, landing.commits, moved, onto=onto.commit)
    if refused := refusal_of(strayed, judge):
        return refused
    tree = repository.tree_of(moved.head)
    if _changes_nothing(landing, tree, onto):
        return _there_already(landing, onto)
    now = dict(moved.commits)
    commits = {patch_id: now[commit] for patch_id, commit in landing.commits}
    return _in_a_row(repository, onto, Tip(commit=moved.head, tree=tree), commits)


def _in_a_row(repository: Repository, onto: Tip, tip: Tip, commits: Mapping[PatchId, str]) -> Candidate:
    """Return the candidate of a linear history; a patch that became empty has no commit of its own."""
    steps, last = list[tuple[PatchId, Tip]](), onto.commit
    for patch, commit in commits.items():
        if commit != last:
            steps.append((patch, Tip(commit=commit, tree=repository.tree_of(commit))))
            last = commit
    return Candidate(onto=onto, tip=tip, commits=commits, steps=tuple(steps))


def _squash_message(landing: LandingInput, messages: Sequence[bytes]) -> bytes:
    if len(messages) == 1:
        return messages[0]
    title = (landing.title or landing.name).encode()
    texts = [_without_trailers(message)[0] for message in messages]
    between = b"\n\n" if any(b"\n" in text for text in texts) else b"\n"
    return title + b"\n\n" + between.join(b"* " + (text or b"(no subject)") for text in texts)


def _without_trailers(message: bytes) -> tuple[bytes, list[tuple[str, str]]]:
    """Return a message without the trailers in its last paragraph, and those that are not Maingate's."""
    text, _, last = message.rstrip().rpartition(b"\n\n")
    found = [_TRAILER.fullmatch(line) for line in last.split(b"\n")]
    if not text or not all(found):
        return message.rstrip(), []
    pairs = [(each[1].decode(), each[2].decode(errors="replace")) for each in found if each is not None]
    return text.rstrip(), [(key, value) for key, value in pairs if not key.startswith("Maingate-")]


def _kept_trailers(messages: Sequence[bytes]) -> list[tuple[str, str]]:
    """Return the trailers of several messages, each once, without the co-authors, who are named apart."""
    if len(messages) == 1:
        return []  # its own message has them
    every = [pair for message in messages for pair in _without_trailers(message)[1]]
    return [pair for pair in dict.fromkeys(every) if pair[0].lower() != "co-authored-by"]


def _only_author(authors: Sequence[bytes], at: datetime) -> Signature | None:
    """Return the author where there is only one; None where Maingate is the author of the work of several."""
    names = {author.rsplit(b" ", 2)[0] for author in authors}
    if len(names) != 1:
        return None
    ident, when, zone = authors[-1].decode(errors="replace").rsplit(" ", 2)
    return Signature.parse(ident, f"{when} {zone}") if len(authors) == 1 else Signature.parse(ident, at)


def _co_authors(messages: Sequence[bytes], authors: Sequence[bytes], own: bytes) -> list[tuple[str, str]]:
    """Return a trailer for each person whose work is in a squashed commit, besides its author.

    Args:
        messages: The messages of the commits.
        authors: Their authors.
        own: Name and address of the committer, who is the author of the work of several.
    """
    if len(messages) == 1:
        return []  # its own message has them
    names = dict.fromkeys(author.rsplit(b" ", 2)[0] for author in authors)
    wrote = names if len(names) > 1 else {}
    told = dict.fromkeys(found for message in messages for found in _CO_AUTHOR.findall(message))
    people = [name for name in {**wrote, **told} if name in wrote or name not in names]
    others = [name for name in people if _OURS not in name and not (wrote and name == own)]
    return [("Co-authored-by", name.decode(errors="replace")) for name in others]


def _trailers(landing: LandingInput) -> list[tuple[str, str]]:
    return [("Maingate-Run", landing.run), ("Maingate-Workstream", landing.workstream)]


def _changes_nothing(landing: LandingInput, tree: str, onto: Tip) -> bool:
    """Return whether a workstream that changes something would change nothing on the target."""
    return tree == onto.tree and landing.settled.tree != landing.base.tree


def _is_there_as_a_whole(repository: Repository, landing: LandingInput, onto: Tip) -> bool:
    """Return whether a workstream would change nothing on the target, though one of its commits conflicts."""
    if landing.settled.tree == landing.base.tree or _is_rewritten(repository, landing, onto):
        return False
    return merge_commits(repository, ours=onto.commit, theirs=landing.settled.commit) == onto.tree


def _there_already(landing: LandingInput, onto: Tip) -> Reason:
    return Reason(
        code=ReasonCode.ALREADY_APPLIED,
        message=f"{landing.name} would change nothing: merged with the target, it gives what is there",
        detail={"onto": onto.commit},
    )


def _conflict(
    landing: LandingInput, paths: Sequence[bytes], onto: Tip, *, commit: str | None = None
) -> Reason:
    names = [path.decode(errors="backslashreplace") for path in paths]
    patch = next((patch for patch, own in landing.commits if own == commit), None)
    return Reason(
        code=ReasonCode.CONFLICT,
        message=f"{landing.name} conflicts with the current target in {listed(names, 5)}",
        detail={"paths": names, "onto": onto.commit} | ({} if patch is None else {"patch": patch}),
    )
