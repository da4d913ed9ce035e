"""The rules of a repository that every plan inherits: gates, tools, ready worktrees, landing and proof.

They stand in `maingate.toml` with the keys of a plan, and are checked as a part of each plan. A plan may add
gates and tighten those that it inherits. It may neither drop nor loosen one that is required, nor change what
such a gate sees.
"""

import copy
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, Final

from pydantic import ValidationError

from maingate.plan.choices import Level, Proof
from maingate.plan.definitions import GateDefinition
from maingate.plan.model import Plan
from maingate.settings import Settings
from maingate.settings.durations import format_duration
from maingate.settings.model import RULES, RULES_BY_NAME
from maingate.settings.problems import Location, Mistake
from maingate.settings.rules_file import RulesFile
from maingate.wording import listed, short

_OF_WORKTREES: Final = ("prepare", "prepare_inputs", "keep", "submodules")
_REQUIRED: Final = "required"
_PROOF: Final = "proof"


@dataclass(frozen=True, kw_only=True)
class RepositoryRules:
    """The rules of a repository.

    Args:
        files: The files that state them; no two state the same.
    """

    files: Sequence[RulesFile] = ()

    # -- inheritance -----------------------------------------------------------------------------------------

    def inherited_by(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return a plan file's data with the rules that it inherits; the model of the plan checks both."""
        plan = dict(data)
        for rules in reversed(self.files):
            values = copy.deepcopy(dict(rules.values))
            for gate in _items(values.get("gates")).values():
                if isinstance(gate, dict):
                    gate.pop(_REQUIRED, None)
            for key, value in values.items():
                plan[key] = _under(key, value, plan[key]) if key in plan else value
        return plan

    def place_of(self, location: Location, stated: Collection[Location]) -> tuple[str, int] | None:
        """Return the file and the line of an inherited value; None for a value of the plan itself.

        Args:
            location: The place of the value, from the top of the plan.
            stated: The places that the plan's own file has.
        """
        if location[:3] in stated or (location[:2] in stated and len(location) < 3):  # noqa: PLR2004 - gates.NAME.KEY
            return None
        for rules in self.files:
            for length in range(min(len(location), 3), 0, -1):
                is_exact = length > 1 or location[0] not in {"gates", "tools"}
                if is_exact and _has(rules.values, location[:length]):
                    return rules.name, _line_of(rules.lines, location)
        return None

    @cached_property
    def required(self) -> frozenset[str]:
        """The gates that no plan may drop or loosen, with those that they need."""
        gates = self._stated_gates
        wanted = [name for name, gate in gates.items() if gate.get(_REQUIRED, True) is not False]
        reached: set[str] = set()
        while wanted:
            name = wanted.pop()
            if name in gates and name not in reached:
                reached.add(name)
                needs = gates[name].get("needs")
                wanted += [need for need in needs if isinstance(need, str)] if isinstance(needs, list) else []
        return frozenset(reached)

    @property
    def _stated_gates(self) -> Mapping[str, Mapping[str, Any]]:
        tables = [_items(rules.values.get("gates")) for rules in self.files]
        return {name: gate for table in tables for name, gate in table.items() if isinstance(gate, dict)}

    # -- what a plan may not do ------------------------------------------------------------------------------

    def broken_by(self, plan: Plan, stated: Collection[Location], settings: Settings) -> Iterator[Mistake]:
        """Find where a plan drops or loosens what the repository requires.

        Args:
            plan: The plan, with what it inherits.
            stated: The places that the plan's own file has.
            settings: The settings, for the limits of a gate that states none.
        """
        for name in plan.gates:
            if name in self.required and ("gates", name) in stated:
                yield from self._loosened(name, plan.gates[name], stated, settings)
        yield from self._promised_less(plan)
        if not self.required:
            return
        for key in _OF_WORKTREES:
            if (key,) in stated and not self._states_the_same(key, plan):
                hint = "write it into maingate.toml, or remove the key"
                message = f"{key!r} decides what the gates of the repository see, and they are required"
                yield Mistake(location=(key,), message=message, hint=hint)
        yield from self._dropped(plan)

    def mistakes(self) -> Iterator[Mistake]:
        """Find what is wrong with the rules in a way that only settings can be."""
        for rules in self.files:
            for name, gate in _items(rules.values.get("gates")).items():
                value = gate.get(_REQUIRED, True) if isinstance(gate, dict) else True
                if not isinstance(value, bool):
                    message = f"{_REQUIRED!r} must be true or false"
                    yield Mistake(
                        location=("gates", name, _REQUIRED), message=message, hint="write it without quotes"
                    )
            for name, tool in _items(rules.values.get("tools")).items():
                if rules.is_of_a_tree and isinstance(tool, dict) and tool.get("secrets"):
                    message = "no commit may decide which secrets a tool sees"
                    hint = (
                        "write the tool into maingate/maingate.toml in git's common directory, or into a plan"
                    )
                    yield Mistake(location=("tools", name, "secrets"), message=message, hint=hint)

    def _loosened(
        self, name: str, gate: GateDefinition, stated: Collection[Location], settings: Settings
    ) -> Iterator[Mistake]:
        own = self._gate(name)
        if own is None:  # the settings' own mistake is reported
            return
        for key in GateDefinition.model_fields:
            place = ("gates", name, key)
            if place in stated and (hint := _loosening(key, getattr(own, key), getattr(gate, key), settings)):
                message = f"{key!r} would loosen a gate that the repository requires"
                yield Mistake(location=place, message=message, hint=hint)

    def _promised_less(self, plan: Plan) -> Iterator[Mistake]:
        """Find a proof that promises less than that of the repository."""
        rules = [rules.values[_PROOF] for rules in self.files if rules.values.get(_PROOF) in list(Proof)]
        if rules and plan.proof is not None and plan.proof.is_looser_than(own := Proof(rules[0])):
            message = f"{_PROOF!r} would promise less than the repository does"
            yield Mistake(location=(_PROOF,), message=message, hint=f"write {own}, or remove the key")

    def _gate(self, name: str) -> GateDefinition | None:
        described = {key: value for key, value in self._stated_gates[name].items() if key != _REQUIRED}
        try:
            return GateDefinition.model_validate(described)
        except ValidationError:
            return None

    def _states_the_same(self, key: str, plan: Plan) -> bool:
        mine = [rules.values[key] for rules in self.files if key in rules.values]
        wanted = Plan.model_fields[key].get_default() if not mine else None
        if wanted is not None:
            return bool(getattr(plan, key) == wanted)
        inherited = Plan.from_json({"maingate": 1, key: mine[0], "workstreams": _ANY_WORK})
        return bool(getattr(plan, key) == getattr(inherited, key))

    def _dropped(self, plan: Plan) -> Iterator[Mistake]:
        """Find lists of gates that leave out a required one."""
        for name, workstream in plan.workstreams.items():
            place: Location = ("workstreams", name)
            yield from self._left_out(plan, workstream.gates, Level.LANDING, (*place, "gates"))
            for task_name, task in workstream.tasks.items():
                if task.kind.gives_a_patch:
                    here = (*place, "tasks", task_name, "gates")
                    yield from self._left_out(plan, task.gates, Level.TASK, here)

    def _left_out(
        self, plan: Plan, gates: Sequence[str] | None, level: Level, place: Location
    ) -> Iterator[Mistake]:
        if gates is None:
            return
        reached = _with_needs(gates, plan)
        left = [name for name in plan.gates_on(level) if name in self.required and name not in reached]
        if left:
            message = f"the list leaves out {listed(left, 5)}, which the repository requires here"
            hint = f"add {listed(left, 5)}, or remove the key"
            yield Mistake(location=place, message=message, hint=hint)


NO_RULES: Final = RepositoryRules()

_ANY_WORK: Final = {"any": {"tasks": {"any": {"noop": True}}}}


def without_inherited(plan: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored plan without the rules that it inherited, so that it can inherit those of today.

    Args:
        plan: The JSON form of the plan.
        values: The settings that it inherited them from; other keys are ignored.
    """
    mine = RepositoryRules(files=[RulesFile(name="", values=_rules_in(values), lines={}, is_of_a_tree=True)])
    inherited = Plan.from_json(mine.inherited_by({"maingate": 1, "workstreams": _ANY_WORK})).as_json()
    kept = dict(plan)
    for key in RULES:
        if key in RULES_BY_NAME and key in kept:
            known = inherited.get(key, {})
            kept[key] = {name: value for name, value in kept[key].items() if known.get(name) != value}
        elif key in kept and kept[key] == inherited.get(key):
            del kept[key]
    return kept


def _rules_in(values: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: value for key, value in values.items() if key in RULES}


def _items(table: object) -> Mapping[str, Any]:
    return table if isinstance(table, Mapping) else {}


def _under(key: str, rule: Any, own: Any) -> Any:
    """Return a plan's own value over a rule: gates are joined by their keys, and tools by their names."""
    if key not in {"gates", "tools"} or not isinstance(rule, dict) or not isinstance(own, dict):
        return own
    joined = {**rule, **own}
    if key == "gates":
        for name in rule.keys() & own.keys():
            if isinstance(rule[name], dict) and isinstance(own[name], dict):
                joined[name] = {**rule[name], **own[name]}
    return joined


def _has(values: Any, location: Location) -> bool:
    for part in location:
        if not isinstance(values, Mapping) or part not in values:
            return False
        values = values[part]
    return True


def _line_of(lines: Mapping[Location, int], location: Location) -> int:
    return next(
        (lines[location[:size]] for size in range(len(location), 0, -1) if location[:size] in lines), 1
    )


def _with_needs(gates: Sequence[str], plan: Plan) -> set[str]:
    reached: set[str] = set()
    wanted = list(gates)
    while wanted:
        name = wanted.pop()
        if name in plan.gates and name not in reached:
            reached.add(name)
            wanted += plan.gates[name].needs
    return reached


def _loosening(key: str, own: Any, wanted: Any, settings: Settings) -> str:
    """Return a hint why a value of a plan would loosen a gate; empty where it is the same or tightens it."""
    if wanted == own:
        return ""
    if key in _MAY_ADD:
        own, wanted = (Level if key == "on" and value is None else value for value in (own, wanted))
        left = [short(str(each)) for each in own if each not in wanted]
        return f"it may add to it, and must keep {listed(left, 5)}" if left else ""
    if key in _MAY_LOWER:
        limit = own or getattr(settings, f"gate_{key}", None) if key != "retries" else own
        is_tighter = limit is None or (wanted is not None and wanted <= limit)
        shown = format_duration(limit) if isinstance(limit, timedelta) else limit
        return "" if is_tighter else f"at most {shown}"
    if key in _MAY_BECOME_TRUE:
        return "" if wanted else "it is true in the repository: remove the key"
    if key == "expect" and set(wanted) <= set(own):
        return ""
    return "remove the key, or define a gate of another name"


_MAY_ADD: Final = ("needs", "versions", "on")
_MAY_LOWER: Final = ("timeout", "idle_timeout", "retries")
_MAY_BECOME_TRUE: Final = ("needs_commit", "exclusive")
"""The changes that a plan may make to a required gate; `expect` may list fewer, all else stays the same."""
