"""What a single field cannot show: unknown names, circles, files that are not there, loosened policy.

Each check yields its findings and goes on, so that a person sees all of them at once.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from maingate.plan.choices import CaptureSource, PromptBy, TaskKind
from maingate.plan.definitions import GateDefinition, ToolDefinition
from maingate.plan.files import fault_of_file, mentioned_in
from maingate.plan.globs import DEFAULT_PROTECT, IN_GIT, fault_of_glob, matches_nothing
from maingate.plan.location import expanded
from maingate.plan.model import Plan, TaskPlan, WorkstreamPlan
from maingate.plan.order import circles
from maingate.plan.programs import is_found, program_of
from maingate.settings import Settings
from maingate.settings.policy import PolicyLayer, loosenings
from maingate.settings.problems import Finding, Location, did_you_mean
from maingate.wording import chain, listed, short


@dataclass(frozen=True, kw_only=True)
class Names:
    """The names that a plan file gives, also to what else is wrong with: who needs those is not to blame."""

    gates: Collection[str]
    tools: Collection[str]
    tasks: Mapping[str, Collection[str]]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Names":
        """Take the names from a plan file's data, whatever its shape."""
        return cls(
            gates=_keys(data.get("gates")),
            tools=_keys(data.get("tools")),
            tasks={
                name: _keys(workstream.get("tasks") if isinstance(workstream, dict) else None)
                for name, workstream in _items(data.get("workstreams"))
            },
        )


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a plan is judged against.

    Args:
        folder: The plan file's folder; patches and prompts are relative to it.
        root: The repository's root as far as folders tell; None when there is none.
        environ: The environment, for PATH.
        settings: The settings that the plan's policy may only tighten.
        names: All names of the plan file.
        refused: Places that were refused already; what is missing there is no news.
    """

    folder: Path
    root: Path | None
    environ: Mapping[str, str]
    settings: Settings
    names: Names
    refused: Collection[Location]

    def has_refused(self, place: Location, *keys: str) -> bool:
        """Tell whether something was written under one of these keys that the model did not take."""
        return any((*place, key) in self.refused for key in keys)


def validate(plan: Plan, around: Surroundings) -> Iterator[Finding]:
    """Find all that is wrong with a plan beyond its single fields."""
    yield from _repository(plan, around)
    yield from _globs(plan.prepare_inputs, ("prepare_inputs",), around)
    yield from _globs(plan.keep.paths, ("keep", "paths") if plan.keep.shared else ("keep",), around)
    yield from _policy(plan.policy, ("policy",), [around.settings.policy], around)
    yield from _gates(plan, around)
    yield from _tools(plan, around)
    yield from _workstreams(plan, around)
    yield from _notifiable(plan, around)


def _repository(plan: Plan, around: Surroundings) -> Iterator[Finding]:
    """Find a `repo` that is none; whether the target is there, only git can tell."""
    if plan.repo is None:
        return
    if not (around.folder / expanded(plan.repo)).is_dir():
        message, hint = f"{plan.repo!r} is not a folder", "paths are relative to the plan"
    elif around.root is None:
        message = f"{plan.repo!r} is not in a git repository"
        hint = "name a repository, or run `git init` there"
    else:
        return
    yield Finding(location=("repo",), message=f"'repo': {message}", hint=hint)


def _gates(plan: Plan, around: Surroundings) -> Iterator[Finding]:
    for name, gate in plan.gates.items():
        place = ("gates", name)
        yield from _unknown(gate.needs, around.names.gates, (*place, "needs"), "gate")
        yield from _globs(gate.inputs, (*place, "inputs"), around)
        yield from _runnable(plan, gate.run, (*place, "run"), around, env=gate.env)
        yield from _versions(gate, (*place, "versions"), around)
    yield from _circles({name: gate.needs for name, gate in plan.gates.items()}, ("gates",), "gates")


def _versions(gate: GateDefinition, place: Location, around: Surroundings) -> Iterator[Finding]:
    """Find commands that cannot tell a version: they run in an empty folder, where nothing is prepared."""
    for at, command in enumerate(gate.versions):
        program = program_of(command)
        is_relative = program is not None and "/" in program and not program.startswith("/")
        if is_relative:
            hint = "they run outside of any worktree: name a program on PATH, or an absolute path"
            message = f"nobody can run it: {program!r} is a path in the repository"
            yield Finding(location=(*place, at), message=message, hint=hint)
        elif program is not None and not is_found(program, root=None, environ={**around.environ, **gate.env}):
            message = f"nobody can run it: {_missing(program)}"
            yield Finding(location=(*place, at), message=message, hint="install it, or name its path")


def _runnable(
    plan: Plan,
    command: str | tuple[str, ...],
    place: Location,
    around: Surroundings,
    *,
    env: Mapping[str, str],
) -> Iterator[Finding]:
    """Find a command that nobody can run; `prepare` and patches may bring what is not there yet."""
    program = program_of(command)
    environ = {**around.environ, **env}
    if program is None or plan.prepare or is_found(program, root=around.root, environ=environ):
        return
    tasks = [task for workstream in plan.workstreams.values() for task in workstream.tasks.values()]
    patches = [around.folder / task.patch for task in tasks if task.patch is not None]
    if "/" in program and (any(task.tool for task in tasks) or mentioned_in(program, patches)):
        return
    hint = "install it, name its path, or let `prepare` install it"
    yield Finding(location=place, message=f"nobody can run it: {_missing(program)}", hint=hint)


def _missing(program: str) -> str:
    where = "is not in the repository" if "/" in program else "is not on PATH"
    return f"{program!r} {where}"


def _notifiable(plan: Plan, around: Surroundings) -> Iterator[Finding]:
    """Find what cannot be told to anybody: it runs at the repository's root, where nothing is prepared."""
    for at, command in enumerate(plan.notify):
        program = program_of(command)
        if program is not None and not is_found(program, root=around.root, environ=around.environ):
            message = f"nobody can run it: {_missing(program)}"
            yield Finding(location=("notify", at), message=message, hint="install it, or name its path")


def _on_rollback(
    plan: Plan, workstream: WorkstreamPlan, place: Location, around: Surroundings
) -> Iterator[Finding]:
    """Find commands that nobody can run, or that nothing would ever call for."""
    for at, command in enumerate(workstream.on_rollback):
        yield from _runnable(plan, command, (*place, at), around, env={})
    tasks = workstream.tasks.values()
    if workstream.on_rollback and tasks and all(task.command or task.noop for task in tasks):
        hint = "give it a task with a patch, or remove the key"
        message = "'on_rollback' would never run: none of its tasks makes a patch that could be rolled back"
        yield Finding(location=place, message=message, hint=hint)


def _tools(plan: Plan, around: Surroundings) -> Iterator[Finding]:
    used = {task.tool for workstream in plan.workstreams.values() for task in workstream.tasks.values()}
    for name, tool in plan.tools.items():
        yield from _secrets(tool, ("tools", name), around, is_used=name in used)
        if around.has_refused(("tools", name), "run", "preset"):
            continue
        if (tool.run is None) == (tool.preset is None):
            said = "neither 'run' nor 'preset'" if tool.run is None else "both 'run' and 'preset'"
            yield Finding(
                location=("tools", name), message=f"tool {name!r} has {said}", hint="give exactly one"
            )
        elif tool.run is None:
            yield from _preset(tool, ("tools", name))
        else:
            yield from _command_of_tool(tool, ("tools", name))


def _secrets(
    tool: ToolDefinition, place: Location, around: Surroundings, *, is_used: bool
) -> Iterator[Finding]:
    for at, secret in enumerate(tool.secrets):
        if secret in tool.env:
            message = f"{secret!r} is a secret, and 'env' sets it"
            hint = "keep it out of the plan: set it in the environment of `maingate run`"
            yield Finding(location=(*place, "env"), message=message, hint=hint)
        elif is_used and secret not in around.environ:
            message = f"the secret {secret!r} is not set in the environment"
            yield Finding(
                location=(*place, "secrets", at), message=message, hint=f"set {secret}, or remove it"
            )


def _preset(tool: ToolDefinition, place: Location) -> Iterator[Finding]:
    if tool.prompt_by is not None:
        message = "'prompt_by' is for 'run'"
        hint = "remove the key: a preset knows how it is told"
        yield Finding(location=(*place, "prompt_by"), message=message, hint=hint)
    if tool.capture is CaptureSource.STDOUT:
        hint = "remove the key: what it leaves in the worktree is taken"
        yield Finding(location=(*place, "capture"), message="a preset prints no diff", hint=hint)


def _command_of_tool(tool: ToolDefinition, place: Location) -> Iterator[Finding]:
    for key, is_given in (("model", tool.model is not None), ("args", bool(tool.args))):
        if is_given:
            hint = "write it into 'run'"
            yield Finding(location=(*place, key), message=f"{key!r} is for presets", hint=hint)
    if tool.prompt_by is PromptBy.ARGUMENT and not any("{prompt}" in word for word in tool.words):
        message = "the prompt is to be an argument, and 'run' has no place for it"
        hint = "write {prompt} where it goes"
        yield Finding(location=(*place, "prompt_by"), message=message, hint=hint)


def _workstreams(plan: Plan, around: Surroundings) -> Iterator[Finding]:
    names = around.names
    folded = Counter(name.lower() for name in plan.workstreams)
    for name, workstream in plan.workstreams.items():
        place = ("workstreams", name)
        if folded[name.lower()] > 1:
            hint = "their refs would be one on file systems that ignore case"
            yield Finding(
                location=place, message=f"{name!r} differs from another name in case only", hint=hint
            )
        yield from _unknown(workstream.needs, names.tasks, (*place, "needs"), "workstream")
        yield from _unknown(workstream.gates or (), names.gates, (*place, "gates"), "gate")
        yield from _policy(
            workstream.policy, (*place, "policy"), [around.settings.policy, plan.policy], around
        )
        yield from _tasks(plan, name, workstream, around)
        yield from _on_rollback(plan, workstream, (*place, "on_rollback"), around)
    needs = {name: workstream.needs for name, workstream in plan.workstreams.items()}
    yield from _circles(needs, ("workstreams",), "workstreams")


def _tasks(plan: Plan, name: str, workstream: WorkstreamPlan, around: Surroundings) -> Iterator[Finding]:
    place: Location = ("workstreams", name, "tasks")
    outer = [around.settings.policy, plan.policy, workstream.policy]
    for task_name, task in workstream.tasks.items():
        here = (*place, task_name)
        yield from _needs_of_task(task, name, (*here, "needs"), around.names)
        yield from _unknown(task.gates or (), around.names.gates, (*here, "gates"), "gate")
        yield from _source(plan, task, here, around)
        yield from _policy(task.policy, (*here, "policy"), outer, around)
        if task.command is None and not task.noop:
            yield from _scope(task, (*here, "scope"), [*outer, task.policy], around)
    yield from _circles({key: task.needs for key, task in workstream.tasks.items()}, place, "tasks")


def _needs_of_task(task: TaskPlan, workstream: str, place: Location, names: Names) -> Iterator[Finding]:
    known = names.tasks.get(workstream, ())
    for index, need in enumerate(task.needs):
        if need in known:
            continue
        owner, bare = _owner_of(need, names)
        if owner == workstream:
            hint = f"within a workstream write {bare!r}"
            yield Finding(location=(*place, index), message=f"there is no task {need!r}", hint=hint)
        elif owner is not None:
            hint = f"let the workstream {workstream!r} need {owner!r}"
            message = f"the task {bare!r} is in another workstream, {owner!r}"
            yield Finding(location=(*place, index), message=message, hint=hint)
        else:
            yield _unknown_name(need, known, (*place, index), "task")


def _owner_of(need: str, names: Names) -> tuple[str | None, str]:
    """Find whose task is meant by ``task`` or ``workstream/task``."""
    owner, slash, task = need.partition("/")
    if slash:
        return (owner if task in names.tasks.get(owner, ()) else None), task
    return next((other for other, tasks in names.tasks.items() if need in tasks), None), need


def _source(plan: Plan, task: TaskPlan, place: Location, around: Surroundings) -> Iterator[Finding]:
    """Check what the task does: exactly one of a ready diff, a tool, a command and nothing."""
    if around.has_refused(place, *_SOURCES):
        return
    given = [f"'{key}'" for key in _SOURCES if getattr(task, key) not in (None, False)]
    if len(given) != 1:
        said = "both " + " and ".join(given) if given else "none of 'patch', 'tool', 'command' and 'noop'"
        yield Finding(location=place, message=f"task {place[-1]!r} has {said}", hint="give exactly one")
        return
    if task.kind is TaskKind.TOOL:
        yield from _tool_of_task(plan, task, place, around)
        return
    if not task.kind.gives_a_patch:
        yield from _step_without_patch(task, place)
        return
    if fault := fault_of_file(around.folder, str(task.patch)):
        yield Finding(location=(*place, "patch"), message=fault[0], hint=fault[1])
    for key in ("prompt", "prompt_file"):
        if getattr(task, key) is not None:
            yield Finding(
                location=(*place, key),
                message=f"{key!r} is for tools",
                hint="a ready patch needs none: remove it",
            )


_SOURCES: Final = ("patch", "tool", "command", "noop")
_OF_PATCHES: Final = ("prompt", "prompt_file", "scope", "gates", "message", "author", "date")


def _step_without_patch(task: TaskPlan, place: Location) -> Iterator[Finding]:
    for key in _OF_PATCHES:
        if getattr(task, key) is not None:
            yield Finding(
                location=(*place, key),
                message=f"{key!r} is for patches",
                hint="a task without a patch has none: remove it",
            )


def _tool_of_task(plan: Plan, task: TaskPlan, place: Location, around: Surroundings) -> Iterator[Finding]:
    name = str(task.tool)
    if name not in around.names.tools:
        yield _unknown_name(name, around.names.tools, (*place, "tool"), "tool")
    if task.prompt is not None and task.prompt_file is not None:
        yield Finding(location=place, message="both 'prompt' and 'prompt_file' are given", hint="give one")
    if task.prompt_file is not None and (fault := fault_of_file(around.folder, task.prompt_file)):
        yield Finding(location=(*place, "prompt_file"), message=fault[0], hint=fault[1])
    tool = plan.tools.get(name)
    asks = tool is not None and tool.asks
    is_asked = task.prompt is not None or task.prompt_file is not None
    if asks and not is_asked and not around.has_refused(place, "prompt", "prompt_file"):
        hint = "give 'prompt' or 'prompt_file'"
        yield Finding(location=place, message=f"the tool {name!r} needs to be told what to do", hint=hint)


def _scope(
    task: TaskPlan, place: Location, layers: Sequence[PolicyLayer], around: Surroundings
) -> Iterator[Finding]:
    if task.scope is None:
        return
    faults = list(_globs(task.scope, place, around))
    yield from faults
    taken = [layer.forbid for layer in layers if layer.forbid is not None]
    if faults or _faulty(taken):
        return
    if not task.scope:
        yield Finding(
            location=place, message="the scope is empty: no patch fits", hint="remove the key, or list globs"
        )
    elif hint := _why_nothing_is_left(task, taken, layers):
        shown = listed([repr(glob) for glob in task.scope])
        yield Finding(location=place, message=f"the scope {shown} leaves nothing to touch", hint=hint)


def _why_nothing_is_left(
    task: TaskPlan, forbidden: Sequence[Sequence[str]], layers: Sequence[PolicyLayer]
) -> str:
    """Return why no patch can fit a scope; empty where one may."""
    if matches_nothing(task.scope or (), taken=forbidden):
        return "only what is forbidden, or nothing at all, matches it"
    stated = [layer.protect for layer in layers if layer.protect is not None]
    if task.kind is not TaskKind.TOOL or _faulty(stated):
        return ""
    if not matches_nothing(task.scope or (), taken=[*forbidden, *(stated or [DEFAULT_PROTECT])]):
        return ""
    if stated:
        return "tools' patches may not touch what `protect` of the policy names: take it out there"
    return "tools may not touch tests and CI files by default: `policy: {protect: []}` in the plan lets them"


def _policy(
    policy: PolicyLayer, place: Location, outer: Sequence[PolicyLayer], around: Surroundings
) -> Iterator[Finding]:
    for name in ("allow", "forbid", "protect", "require_tests", "test_paths"):
        yield from _globs(getattr(policy, name), (*place, name), around)
    if policy.allow is not None and not policy.allow:
        message = "'allow' is empty: no patch fits"
        yield Finding(location=(*place, "allow"), message=message, hint="remove the key, or list globs")
    for name, hint in loosenings(outer, policy):
        message = f"{name!r} would loosen the policy around it"
        yield Finding(location=(*place, name), message=message, hint=hint)


def _globs(globs: Sequence[str] | None, place: Location, around: Surroundings) -> Iterator[Finding]:
    root = "" if around.root is None else str(around.root)
    for index, glob in enumerate(globs or ()):
        if fault := fault_of_glob(glob, root=root):
            if place[-1] == "forbid" and fault == IN_GIT:
                continue
            hint = f"write {glob.removeprefix('./')!r}" if glob.startswith("./") else fault
            yield Finding(
                location=(*place, index), message=f"the glob {short(glob)!r} can match nothing", hint=hint
            )


def _faulty(lists: Iterable[Sequence[str]]) -> bool:
    return any(fault_of_glob(glob) not in (None, IN_GIT) for globs in lists for glob in globs)


def _unknown(wanted: Sequence[str], known: Collection[str], place: Location, kind: str) -> Iterator[Finding]:
    for index, name in enumerate(wanted):
        if name not in known:
            yield _unknown_name(name, known, (*place, index), kind)


def _unknown_name(name: str, known: Collection[str], place: Location, kind: str) -> Finding:
    hint = did_you_mean(name, known) or ("" if known else f"the plan has no {kind}s")
    return Finding(location=place, message=f"there is no {kind} {short(name)!r}", hint=hint)


def _circles(needs: Mapping[str, Sequence[str]], place: Location, kind: str) -> Iterator[Finding]:
    for circle in circles(needs):
        message = f"{kind} need each other in a circle: {chain(circle)}"
        if len(circle) == 2:  # noqa: PLR2004 - a → a
            message = f"{circle[0]!r} needs itself"
        yield Finding(
            location=(*place, circle[0], "needs"), message=message, hint="remove one of these needs"
        )


def _keys(value: object) -> list[str]:
    return [name for name, _ in _items(value)]


def _items(value: object) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []
