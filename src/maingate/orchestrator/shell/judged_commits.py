"""The commits that the gates of patches see: the patches of a workstream on the head of the target.

A workstream may begin on an older commit of the target, so that the commits of a branch land as they are.
Its patches are judged as if they had been applied on the head that its run began on: each of its commits is
merged with that first. Otherwise gates would judge the past of the target too, such as a test that has been
corrected since. No ref ever points to such a merge.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from maingate.commits import Tip
from maingate.git.merge import MergeConflict, merge_commits
from maingate.git.repository import Repository

_MESSAGE: Final = "A patch on the head of the target, to be tested"
_ALWAYS: Final = datetime.fromtimestamp(0, UTC)
"""The time of every merge, so that the same commits give the same merge, which may be known already."""


class JudgedCommits:
    """Merges the commits of workstreams with the head of the target, where that is needed.

    Args:
        repository: The repository that merges are written to.
        head: The target's head when the run began.
        into: Full name of the target.
    """

    def __init__(self, repository: Repository, head: Tip, *, into: str) -> None:
        self._repository, self._head, self._into = repository, head, into
        self._has_head: dict[str, bool] = {head.commit: True}
        self._seen: dict[str, Tip] = {}

    def is_on_head(self, base: Tip) -> bool:
        """Return whether commits on a base are known to have the head in their history."""
        return self._has_head.get(base.commit, False)

    def seen_of(self, base: Tip, tips: Mapping[str, Tip]) -> Mapping[str, Tip]:
        """Return the commits that gates see instead of some on a base, by the same keys. Blocks."""
        if self._head_is_in(base):
            return tips
        return {key: self._seen_for(tip) for key, tip in tips.items()}

    def seen_as(self, commit: str) -> str:
        """Return the commit that gates see instead of another; the same where they see that itself."""
        return self._seen[commit].commit if commit in self._seen else commit

    def _head_is_in(self, base: Tip) -> bool:
        known = self._has_head.get(base.commit)
        if known is None:
            known = self._repository.is_ancestor(self._head.commit, base.commit)
            self._has_head[base.commit] = known
        return known

    def _seen_for(self, tip: Tip) -> Tip:
        seen = self._seen.get(tip.commit)
        if seen is None or not self._repository.has_object(seen.commit):
            seen = self._seen[tip.commit] = self._merged(tip)
        return seen

    def _merged(self, tip: Tip) -> Tip:
        """Return a commit merged with the head, or the commit itself where they conflict."""
        repository, head = self._repository, self._head
        tree = merge_commits(repository, ours=head.commit, theirs=tip.commit, into=self._into)
        if isinstance(tree, MergeConflict) or tree == tip.tree:
            return tip
        commit = repository.commit(
            tree=tree, parents=[head.commit, tip.commit], message=_MESSAGE, date=_ALWAYS, is_trial=True
        )
        return Tip(commit=commit, tree=tree)
