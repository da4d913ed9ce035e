"""Valid plan names for the ids of other tools, distinct even without regard to case."""

from typing import Final

from maingate.importers.plan_files import slug
from maingate.plan.names import fault_of_name

_LONGEST: Final = 80
"""Maximum letters of a name before the number that makes it distinct."""


class NameGiver:
    """Gives out distinct names, which also differ on file systems that ignore case."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def name(self, *words: str, otherwise: str) -> str:
        """Return a new name made from words.

        Args:
            words: For example an id and a title. A single word that is a valid name is used unchanged.
            otherwise: The name if no letter of the words can be used; must be valid.
        """
        wished = self._wish(words) or otherwise
        name, number = wished, 1
        while name.lower() in self._taken:
            number += 1
            name = f"{wished}-{number}"
        self._taken.add(name.lower())
        return name

    @staticmethod
    def _wish(words: tuple[str, ...]) -> str:
        if len(words) == 1 and len(words[0]) <= _LONGEST and fault_of_name(words[0]) is None:
            return words[0]
        return "-".join(part for part in dict.fromkeys(map(slug, words)) if part)[:_LONGEST].strip("-")
