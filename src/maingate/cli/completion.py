"""Completion of names and ids by the shell, from the record.

A completion never prints anything else: without a repository, without a record, or with one that cannot be
read, it offers nothing.
"""

import re
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Final

import typer

Completed = Callable[[typer.Context, str], list[tuple[str, str]]]
"""A function of the context and the beginning of a word that returns words with their meanings."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@%+,/-]*", re.ASCII)
"""Words that no shell expands; others are not offered, because bash expands what a completion returns."""

_UNTRUSTED: Final = re.compile(r"[^A-Za-z0-9_.,/ -]", re.ASCII)
"""Characters that meanings are shown without: shells and the parser give some of them a meaning."""


def record_words(*kinds: str, is_open: bool = False, states: Sequence[str] = ()) -> Completed:
    """Return a completion by names and ids in the record.

    Args:
        kinds: The names of ``WordKind`` that the word may name, such as ``RUN``.
        is_open: Only of what has not ended.
        states: Only of what is in these states; empty for all.
    """

    def complete(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        from maingate.errors import MaingateError

        try:
            return _read(ctx, incomplete, kinds, is_open=is_open, states=states)
        except (
            MaingateError,
            OSError,
        ):  # a word without completion is no failure; the command itself reports it
            return []

    return complete


def _read(
    ctx: typer.Context, incomplete: str, kinds: Sequence[str], *, is_open: bool, states: Sequence[str]
) -> list[tuple[str, str]]:
    from maingate.bootstrap import Maingate
    from maingate.queries.offered_words import WordKind, offered

    with Maingate.open(create=False, migrate=False) as maingate:
        words = offered(
            maingate.context,
            incomplete,
            [WordKind[kind] for kind in kinds],
            run=ctx.params.get("run"),
            is_open=is_open,
            states=states,
        )
    return [(text, _UNTRUSTED.sub("", about)) for text, about in words if _PLAIN.fullmatch(text)]


def fixed_words(module: str, name: str) -> Completed:
    """Return a completion by the words of a collection, which is loaded when it is needed.

    Args:
        module: Its module.
        name: Its name there; a mapping's keys, or the values of an enumeration.
    """

    def complete(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        del ctx
        found = map(str, getattr(import_module(module), name))
        return [(word, "") for word in found if word.startswith(incomplete)]

    return complete


def either(*completions: Completed) -> Completed:
    """Return a completion by several."""

    def complete(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        words = {word: about for each in completions for word, about in each(ctx, incomplete)}
        return list(words.items())

    return complete


RUNS: Final = record_words("RUN")
OPEN_RUNS: Final = record_words("RUN", is_open=True)
PATCHES: Final = record_words("PATCH")
