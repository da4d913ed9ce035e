"""The key of a verdict: the tree that the gate reads, the gate's definition, its environment.

Two trees share a verdict when nothing that the gate declares as its ``inputs``, and nothing that decides how
these are checked out, differs between them; a gate without declared inputs looks at the whole tree. A gate
that needs the commit itself (its history, its message) is asked about every commit anew.

A part of a gate's definition is part of its key unless it is listed here as one that no verdict depends on:
one that is added later is in the key until it is listed. Values that each job has of its own are in
no key, so no gate may go by them: ``OF_THE_JOB`` and ``OF_THE_TRACE``.
"""

import hashlib
import os
import platform
import resource
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Final

from maingate.git.checkout_conversion import checkout_conversion
from maingate.git.filter_drivers import NONE, FilterDrivers
from maingate.git.repository import Repository
from maingate.plan.definitions import GateDefinition
from maingate.plan.model import Plan
from maingate.uet.process.command import CommandSpec
from maingate.verdicts.input_digests import InputDigests, digest_of

KEY_VERSION: Final = 4
"""Counts up whenever what a verdict means changes, so that old ones are not taken over."""

OF_THE_JOB: Final = frozenset(
    {
        *("MAINGATE", "MAINGATE_COMMIT", "MAINGATE_GATE", "MAINGATE_JOB", "MAINGATE_SLOT"),
        *("GIT_CONFIG_GLOBAL", "GIT_TERMINAL_PROMPT", "PWD", "TEMP", "TMP", "TMPDIR"),
    }
)
"""Variables that a gate finds set for its job, whatever the environment of ``maingate run`` has in them."""

OF_THE_TRACE: Final = frozenset({"TRACEPARENT", "TRACESTATE"})
"""Variables by which a gate's own spans are put under that of its execution, where traces are exported."""

_NO_MATTER: Final = frozenset({"type", "needs", "red_on_base", "on"})
"""Of a gate's definition: kind and place, which change no answer."""

_NO_MATTER_TO_RUN: Final = frozenset({"grace", "log_head", "log_tail"})
"""Of how it is run: the end of its processes, and how much of its output is kept."""

_CEILINGS: Final = ("AS", "CPU", "DATA", "FSIZE", "NOFILE", "NPROC", "STACK")


class VerdictKeys:
    """Makes the keys of one plan's verdicts.

    Args:
        repository: Where trees are read.
        plan: Whose gates they are.
        specs: How each gate is run, by name.
        environment: The variables that gates get.
        confirm: Whether a failure is tried once more before it counts.
        versions: The words of the programs that a gate declares the versions of, by its name.
        drivers: The filters that trees are written by.
        remotes: The blob of the tags and remotes that gates see; empty for none.
    """

    def __init__(
        self,
        *,
        repository: Repository,
        plan: Plan,
        specs: Mapping[str, CommandSpec],
        environment: Mapping[str, str],
        confirm: bool,
        versions: Mapping[str, Sequence[str]],
        drivers: FilterDrivers = NONE,
        remotes: str = "",
    ) -> None:
        self._repository, self._remotes = repository, remotes
        self._plan = plan
        ground = {
            "version": KEY_VERSION,
            "machine": machine(),
            "conversion": checkout_conversion(environment, drivers),
            "environment": {
                name: value
                for name, value in environment.items()
                if name not in OF_THE_JOB and name not in OF_THE_TRACE
            },
        }
        self._prepared_on = digest_of(
            {**ground, "versions": {name: list(versions[name]) for name in versions}}
        )
        surroundings = {
            **ground,
            "plan": plan.model_dump(mode="json", include={"prepare", "prepare_inputs", "keep", "submodules"}),
            "confirm": confirm,
        }
        self._gates = {
            name: digest_of(
                {
                    "gate": _question(definition),
                    "run": _execution(specs[name]),
                    "versions": list(versions.get(name, ())),
                    **surroundings,
                }
            )
            for name, definition in plan.gates.items()
        }
        self._inputs = {
            name: InputDigests(repository, definition.inputs)
            for name, definition in plan.gates.items()
            if definition.inputs is not None
        }
        self._prepare_inputs = InputDigests(repository, plan.prepare_inputs)

    def key(self, gate: str, commit: str, tree: str) -> str:
        """Return the key of a gate's verdict on a tree, which ``commit`` has."""
        seen: list[object] = [self._gates[gate], self._looked_at(gate, tree)]
        if gate in self._inputs:
            seen.append(self.prepare_digest(tree))
        if self._plan.gates[gate].needs_commit:
            seen += [commit, self._end_of_history(), self._remotes]
        return digest_of(seen)

    def question(self, gate: str) -> str:
        """Return the digest of all that a gate's verdict depends on beside the tree and the commit."""
        return self._gates[gate]

    def prepare_digest(self, tree: str) -> str:
        """Return by what, from what and where a worktree must have been prepared for this tree."""
        if not self._plan.prepare:
            return ""
        return digest_of([_words(self._plan.prepare), self._prepare_inputs.of(tree), self._prepared_on])

    def _looked_at(self, gate: str, tree: str) -> str:
        inputs = self._inputs.get(gate)
        return tree if inputs is None else inputs.of(tree)

    def _end_of_history(self) -> str:
        """Return where the history ends that a gate can look at, in a shallow clone."""
        try:
            return (self._repository.git_dir / "shallow").read_text()
        except FileNotFoundError:
            return ""


def machine() -> Mapping[str, object]:
    """Return what of this machine, and of the user, a gate can come to see and cannot declare."""
    system = [platform.system(), platform.machine(), platform.release(), *platform.libc_ver()]
    return {
        "system": [*system, *_distribution()],
        "user": [os.geteuid(), os.getegid(), sorted(os.getgroups())],
        "ceilings": {
            name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[0]
            for name in _CEILINGS
            if hasattr(resource, f"RLIMIT_{name}")
        },
    }


def _distribution() -> tuple[str, str]:
    try:
        told = platform.freedesktop_os_release()
    except OSError:
        return "", platform.version()
    return told.get("ID", ""), told.get("VERSION_ID", "")


def _question(definition: GateDefinition) -> object:
    return definition.model_dump(mode="json", exclude=set(_NO_MATTER))


def _execution(spec: CommandSpec) -> Mapping[str, object]:
    said = {name: value for name, value in asdict(spec).items() if name not in _NO_MATTER_TO_RUN}
    secrets = {
        name: hashlib.sha256(os.fsencode(value)).hexdigest() for name, value in spec.secret_env.items()
    }
    return {**said, "secret_env": secrets}


def _words(commands: Sequence[str | tuple[str, ...]]) -> list[str | list[str]]:
    return [command if isinstance(command, str) else list(command) for command in commands]
