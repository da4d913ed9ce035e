"""Names for what other tools call by any id: valid, and no two the same, not even in another case."""

from typing import Final

from maingate.importers.writing import slug
from maingate.plan.names import fault_of_name

_LONGEST: Final = 80
"""Letters of a name before the number that may tell it from another."""


class NameGiver:
    """Gives each thing a name of its own; file systems that ignore case can hold them all."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def name(self, *words: str, otherwise: str) -> str:
        """Return a name that reminds of the words.

        Args:
            words: An id, say, and a title. A single word that is a valid name is taken as it is.
            otherwise: What to call it when no letter of the words can be used; must be a valid name.
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
