"""Items whose branches share commits that the target does not have: begun on one another, or on a third.

Such branches are merged at the commits that they share, as git does when they land as they are; by the
target's tree alone, each change that one has built on would look like a conflict.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from maingate.git.repository import Repository

_ENOUGH = 2


def kin_of(repository: Repository, head: str, tips: Mapping[int, str]) -> dict[int, int]:
    """Return the items that share commits with each item, as a set of numbers with a bit for each.

    Args:
        repository: The repository.
        head: The target's commit, whose history does not count.
        tips: The newest commits of items, by their numbers.
    """
    if len(tips) < _ENOUGH:
        return {}
    words = ("rev-list", "--parents", "--topo-order", *dict.fromkeys(tips.values()), f"^{head}", "--")
    told = repository.private_git_dir().git(*words).stdout.decode()
    holders: defaultdict[str, int] = defaultdict(int)
    for number, tip in tips.items():
        holders[tip] |= 1 << number
    for line in told.splitlines():  # children come before their parents
        commit, *parents = line.split()
        for parent in parents:
            holders[parent] |= holders[commit]
    kin: defaultdict[int, int] = defaultdict(int)
    for together in {holders[line.split(maxsplit=1)[0]] for line in told.splitlines()}:
        for number in numbers(together):
            kin[number] |= together
    return kin


def numbers(items: int) -> Iterator[int]:
    """Yield the numbers of a set, in order."""
    while items:
        lowest = items & -items
        yield lowest.bit_length() - 1
        items ^= lowest
