"""The files that a gate's command names, and which of them a tree does not have.

A gate cannot pass without a file that its command names (`pytest tests/new.py`). Where a change brings that
file, a failure on its base says nothing about the change.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from maingate.git.repository import Repository
from maingate.plan.definitions import GateDefinition

_WORD: Final = re.compile(r"[A-Za-z0-9_./+:-]+")


class NamedFiles:
    """Looks the words of gates' commands up in trees.

    Args:
        repository: Where trees are read.
        definitions: The plan's gates by name.
    """

    def __init__(self, repository: Repository, definitions: Mapping[str, GateDefinition]) -> None:
        self._repository, self._definitions = repository, definitions

    def absent(self, gate: str, tree: str) -> frozenset[str]:
        """Return the words of a gate's command that name no file or folder of a tree.

        Options are among them: a word tells something only if another tree has its file. A word without a
        slash or a dot, as in ``make test``, may mean something else than a folder of that name.
        """
        return frozenset(word for word in self._words(gate) if not self._is_in(tree, word))

    def _words(self, gate: str) -> Iterator[str]:
        run = self._definitions[gate].run
        for part in (run,) if isinstance(run, str) else run:
            yield from (word for word in _WORD.findall(part) if "/" in word or "." in word)

    def _is_in(self, tree: str, word: str) -> bool:
        return any(self._repository.entry_at(tree, path) is not None for path in _paths(word))


def _paths(word: str) -> Iterator[bytes]:
    """Yield the paths that a word may stand for: itself, or a module; without the name of a test in it."""
    name = word.partition("::")[0].strip(":")
    if "/" not in name:
        module = name.replace(".", "/")
        yield from (path.encode() for path in (module, f"{module}.py") if path.strip("/") == path != "")
    parts = [part for part in name.split("/") if part != "."]
    if any(parts) and parts[0] and ".." not in parts:
        yield "/".join(parts).strip("/").encode()
