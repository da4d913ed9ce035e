"""A state machine: a frozen table in which every state is a key.

A machine decides nothing and stores nothing. It answers one question: may this entity go from one state to
another by a trigger? Its users are the one writer of states, the CHECK constraints of the database, the
diagrams and the documentation, so that none of them can disagree with another.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from maingate.errors import InvalidTransitionError


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The states of one kind of entity and every way between them.

    States compare equal to their text, so every method takes a member of ``states`` or the text of
    one.

    Args:
        name: The name in the specification, such as ``patch_ledger``.
        states: The states, in the specification's order.
        initial: The state in which an entity is created.
        terminal: The states in which an entity has ended. A few of them still have a way out (a quarantined
            patch can be dropped); the table says which.
        table: For every state the pairs ``(to, trigger)`` that lead out of it.
        extensions: The transitions in the table that the first design lacked, each as ``(from, to, trigger)``
            with the reason why it is needed.

    Raises:
        ValueError: The table is not complete: a state without a key, a foreign state, or an extension that
            is not in the table.
    """

    name: str
    states: type[StrEnum]
    initial: StrEnum
    terminal: frozenset[StrEnum]
    table: Mapping[StrEnum, tuple[tuple[StrEnum, str], ...]]
    extensions: Mapping[tuple[StrEnum, StrEnum, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "table", MappingProxyType(dict(self.table)))
        object.__setattr__(self, "extensions", MappingProxyType(dict(self.extensions)))
        named = {self.initial, *self.terminal, *(to for _, to, _ in self.transitions)}
        if list(self.table) != list(self.states) or not named <= set(self.states):
            raise ValueError(f"{self.name}: the table's keys are not the states, or it names a foreign state")
        if unknown := self.extensions.keys() - set(self.transitions):
            raise ValueError(f"{self.name}: extensions that are not in the table: {sorted(unknown)}")

    @property
    def transitions(self) -> list[tuple[StrEnum, StrEnum, str]]:
        """Every allowed ``(from, to, trigger)``, in the order of the table."""
        return [(state, to, trigger) for state, pairs in self.table.items() for to, trigger in pairs]

    def allows(self, state: str, to: str, trigger: str) -> bool:
        """Return whether the table has this transition; False for a state that the machine does not know."""
        return any(pair == (to, trigger) for pair in self._ways_out_of(state))

    def allowed(self, state: str) -> list[str]:
        """Return the transitions that are allowed from a state, for people: ``to by trigger`` each."""
        return [f"{to} by {trigger}" for to, trigger in self._ways_out_of(state)]

    def check(self, *, entity_id: str, state: str, to: str, trigger: str) -> None:
        """Refuse a transition that is not in the table, before anything is written.

        Raises:
            InvalidTransitionError: Names the entity, its state and the transitions that are allowed from
                there.
        """
        if not self.allows(state, to, trigger):
            raise InvalidTransitionError(
                machine=self.name,
                entity_id=entity_id,
                state=str(state),
                to=str(to),
                trigger=trigger,
                allowed=self.allowed(state),
            )

    def is_terminal(self, state: str) -> bool:
        """Return whether an entity in this state has ended."""
        return state in self.terminal

    def as_json(self) -> dict[str, Any]:
        """Return the machine in the public JSON form, extensions among the transitions."""
        return {
            "states": [str(state) for state in self.states],
            "initial": str(self.initial),
            "terminal": [str(state) for state in self.states if state in self.terminal],
            "transitions": [[str(part) for part in transition] for transition in self.transitions],
        }

    def mermaid(self) -> str:
        """Return the machine as a Mermaid state diagram, without a final newline."""
        lines = ["stateDiagram-v2", f"    [*] --> {self.initial}"]
        lines += [f"    {state} --> {to}: {trigger}" for state, to, trigger in self.transitions]
        lines += [f"    {state} --> [*]" for state in self.states if state in self.terminal]
        return "\n".join(lines)

    def _ways_out_of(self, state: str) -> tuple[tuple[StrEnum, str], ...]:
        table: Mapping[Any, tuple[tuple[StrEnum, str], ...]] = (
            self.table
        )  # a member hashes and compares as its text
        return table.get(state, ())
