"""The plan as values: what a plan file says, once it has been read and found to be in order.

The file format is described for people in ``docs/PLAN_FILE.md``. Models are frozen and know nothing of
files; ``loader`` reads them, ``validation`` judges what a single field cannot show.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    StrictBool,
    StrictFloat,
    StrictInt,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from maingate.plan.names import ANY_NAME, BranchName, Name
from maingate.plan.order import stable_order
from maingate.settings.durations import Duration, Size
from maingate.settings.policy import PolicyLayer
from maingate.settings.problems import as_written

__all__ = [
    "Capture",
    "GateDefinition",
    "GateType",
    "Landing",
    "Level",
    "Overlap",
    "Plan",
    "PolicyLayer",
    "PromptBy",
    "TaskKind",
    "TaskPlan",
    "ToolDefinition",
    "ToolLimits",
    "WorkstreamPlan",
]

FORMAT_VERSION: Final = 1


class Landing(StrEnum):
    """How a workstream's commits come onto the target branch."""

    MERGE = "merge"
    SQUASH = "squash"
    REBASE = "rebase"


class GateType(StrEnum):
    """What kind of proof a gate is (docs/SPECIFICATION.md §2.3)."""

    LINT = "LINT"
    UNIT = "UNIT"
    INTEGRATION = "INTEGRATION"
    SECURITY = "SECURITY"


class Level(StrEnum):
    """Where a gate runs by default: on each task's patch, or on the merged result before it lands."""

    TASK = "task"
    LANDING = "landing"


class Capture(StrEnum):
    """Where a tool's result is taken from."""

    WORKTREE = "worktree"
    STDOUT = "stdout"


class PromptBy(StrEnum):
    """How a tool is told what to do."""

    FILE = "file"
    """A file outside the worktree; `{prompt_file}` in the command, and MAINGATE_PROMPT_FILE, name it."""
    ARGUMENT = "argument"
    """`{prompt}` in the command."""
    STDIN = "stdin"
    """Standard input."""


class Overlap(StrEnum):
    """What becomes of tasks whose tools may write the same paths."""

    SERIAL = "serial"
    """One after the other."""
    ALLOW = "allow"
    """Side by side; what conflicts is made again."""


class TaskKind(StrEnum):
    """What a task's patch comes from."""

    PATCH = "patch"
    TOOL = "tool"
    COMMAND = "command"
    """Nothing: a command is run, and has to end well."""
    NOOP = "noop"
    """Nothing at all: a point that others need."""

    @property
    def gives_a_patch(self) -> bool:
        """Tell whether there is something to apply, judge and land."""
        return self in {TaskKind.PATCH, TaskKind.TOOL}


Preset = Literal["claude", "codex", "aider", "gemini", "opencode"]


def _fault(kind: str, message: str, hint: str) -> PydanticCustomError:
    return PydanticCustomError(kind, "{message}", {"message": message, "hint": hint})


def _command(value: object) -> str | tuple[str, ...]:
    """Read a command: a string for ``sh -c``, or a list of program and arguments."""
    hint = 'write a string (run by sh) or a list such as ["pytest", "-q"]'
    if isinstance(value, str):
        parts: tuple[object, ...] = (value,)
    elif isinstance(value, list | tuple):
        parts = tuple(value)
    else:
        raise _fault("command_invalid", f"{as_written(value)} is not a command", hint)
    for part in parts:
        if not isinstance(part, str):
            raise _fault(
                "command_invalid",
                f"{as_written(part)} in a command is not text",
                f'write it in quotes: "{part}"',
            )
        if "\0" in part:
            raise _fault("command_invalid", "a command cannot contain a NUL character", "remove it")
    if not parts or not str(parts[0]).strip():
        raise _fault("command_invalid", "the command is empty", hint)
    return value if isinstance(value, str) else tuple(str(part) for part in parts)


def _text(value: str) -> str:
    if not value.strip():
        raise _fault("text_empty", "the text is empty", "write something, or remove the key")
    if "\0" in value:
        raise _fault("text_invalid", "text cannot contain a NUL character", "remove it")
    return value


_AUTHOR: Final = re.compile(r"[^<>\n\0]*[^<>\s\0][^<>\n\0]* <[^<>\n\0]*>")


def _author(value: str) -> str:
    if not _AUTHOR.fullmatch(value):
        raise _fault("author_invalid", f"{value!r} is not an author", 'write "Ada Example <ada@example.org>"')
    return value


def _date(value: object) -> object:
    if not isinstance(value, str | datetime):
        raise _fault(
            "date_invalid", f"{as_written(value)} is not a date", 'write "2026-01-31T12:00:00+01:00"'
        )
    return value


def _variable(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value, re.ASCII):
        hint = "write the name of the variable, such as ANTHROPIC_API_KEY, never its value"
        raise _fault("variable_invalid", "a secret is not the name of an environment variable", hint)
    return value


def _regex(value: str) -> str:
    try:
        re.compile(value.encode())
    except re.error as error:
        raise _fault("regex_invalid", f"{value!r} is not a regular expression: {error}", "") from error
    return value


def _keep(value: object) -> object:
    """Read the short form: a list of paths."""
    if not isinstance(value, list | tuple):
        if isinstance(value, Mapping | BaseModel):
            return value
        hint = 'write [".venv"], or {paths: [".venv"], shared: true}'
        raise _fault("keep_invalid", f"'keep' must be a list of paths, not {as_written(value)}", hint)
    for path in value:
        if not isinstance(path, str):
            raise _fault("keep_invalid", f"{as_written(path)} in 'keep' is not text", "write it in quotes")
    return {"paths": tuple(value)}


def _exit_code(value: int) -> int:
    if not 0 <= value <= 255:  # noqa: PLR2004 - the range of exit codes on POSIX
        raise _fault("exit_code_invalid", f"{value} is not an exit code", "exit codes go from 0 to 255")
    return value


Command = Annotated[
    str | tuple[str, ...],
    PlainValidator(_command),
    PlainSerializer(lambda command: command if isinstance(command, str) else list(command), when_used="json"),
    WithJsonSchema(
        {
            "description": "a string is run by sh; a list is program and arguments",
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ],
        }
    ),
]
Text = Annotated[str, AfterValidator(_text)]
Author = Annotated[str, AfterValidator(_author)]
Date = Annotated[AwareDatetime, BeforeValidator(_date)]
ExitCodes = Annotated[tuple[Annotated[StrictInt, AfterValidator(_exit_code)], ...], Field(min_length=1)]
Globs = tuple[str, ...]
Environment = Mapping[
    Annotated[str, Field(pattern=r"^[^=\x00]+$")], Annotated[str, Field(pattern=r"^[^\x00]*$")]
]
Count = Annotated[StrictInt, Field(ge=0)]
Dollars = Annotated[StrictFloat | StrictInt, Field(gt=0, allow_inf_nan=False)]
VariableName = Annotated[str, AfterValidator(_variable)]
Regex = Annotated[str, AfterValidator(_regex)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GateDefinition(_Part):
    """A command that must pass on a tree."""

    type: GateType = Field(default=GateType.UNIT, description="What kind of proof it is.")
    run: Command = Field(description="The command, run at the root of a worktree.")
    needs: tuple[str, ...] = Field(default=(), description="Gates that must have passed first.")
    timeout: Duration | None = Field(
        default=None,
        description="Wall time after which it has failed. Defaults to the setting `gate_timeout`.",
    )
    idle_timeout: Duration | None = Field(
        default=None, description="Time without output after which it has failed. Defaults to the setting."
    )
    retries: Count = Field(
        default=0, description="How often a known-flaky gate is run again before it has failed."
    )
    expect: ExitCodes = Field(default=(0,), description="Exit codes that mean passed.")
    env: Environment = Field(default={}, description="Environment variables set for it.")
    inputs: Globs | None = Field(
        default=None,
        description="What its verdict depends on: unchanged inputs, reused verdict. Default: the whole tree.",
    )
    needs_commit: StrictBool = Field(
        default=False,
        description="It looks at the commit and not only at the files: verdicts are not reused by tree.",
    )
    red_on_base: StrictBool = Field(
        default=False,
        description="It fails until a patch mends it: what leaves it red is to blame, the base is not asked.",
    )
    versions: tuple[Command, ...] = Field(
        default=(),
        description="Commands such as `python --version`: another output, and no earlier verdict is reused.",
    )
    exclusive: StrictBool = Field(default=False, description="Nothing else of Maingate runs beside it.")
    on: tuple[Level, ...] = Field(
        default=(Level.TASK, Level.LANDING),
        description="Where it runs when a task or workstream does not list its gates.",
    )


class ToolLimits(_Part):
    """What each process of a tool may use; what is not given is as the settings have it."""

    cpu: Duration | None = Field(default=None, description="CPU time of one process.")
    memory: Size | None = Field(default=None, description="Address space of one process.")
    processes: Annotated[StrictInt, Field(ge=1)] | None = Field(
        default=None, description="Processes of the user; the system counts all of them."
    )
    file_size: Size | None = Field(default=None, description="Size of one file that it writes.")


class ToolDefinition(_Part):
    """A command, or a preset, that makes patches."""

    run: Command | None = Field(
        default=None, description="The command; `{prompt}` and `{prompt_file}` are put in. Or say `preset`."
    )
    preset: Preset | None = Field(default=None, description="A well-known agent instead of `run`.")
    prompt_by: PromptBy | None = Field(
        default=None,
        description="How `run` is told what to do. Default: by the placeholders in it, else `stdin`.",
    )
    model: Text | None = Field(default=None, description="The model that a preset is to use.")
    args: tuple[Text, ...] = Field(default=(), description="More arguments for a preset.")
    timeout: Duration | None = Field(
        default=None,
        description="Wall time of a task that names none. Default: the setting `command_timeout`.",
    )
    idle_timeout: Duration | None = Field(
        default=None, description="Time without output after which it is ended."
    )
    capabilities: tuple[Text, ...] = Field(
        default=(), description="What a worker must have to run it; not asked for while all workers are here."
    )
    max_concurrent: Annotated[StrictInt, Field(ge=1)] | None = Field(
        default=None, description="How many may run at once. Default: as many as there are workers."
    )
    expect: ExitCodes = Field(default=(0,), description="Exit codes that mean it did its work.")
    capture: Capture = Field(
        default=Capture.WORKTREE, description="`worktree`, or `stdout` when it prints a diff."
    )
    env: Environment = Field(default={}, description="Environment variables set for it.")
    secrets: tuple[VariableName, ...] = Field(
        default=(),
        description="Names of environment variables that only this tool sees, redacted in all that is kept.",
    )
    limits: ToolLimits = Field(default=ToolLimits(), description="What each of its processes may use.")
    rate_limit: tuple[Regex, ...] = Field(
        default=(),
        description="Regular expressions; a failed tool that printed a match was refused by its provider.",
    )
    max_cost_usd: Dollars | None = Field(
        default=None, description="Budget per task in US dollars, where the tool reports its cost."
    )

    @property
    def words(self) -> tuple[str, ...]:
        """What `run` consists of: a shell command is one word."""
        return (self.run,) if isinstance(self.run, str) else self.run or ()

    @property
    def tells_by(self) -> PromptBy:
        """How `run` is told what to do: as the plan says, or as its placeholders do."""
        if self.prompt_by is not None:
            return self.prompt_by
        if any("{prompt}" in word for word in self.words):
            return PromptBy.ARGUMENT
        return PromptBy.FILE if any("{prompt_file}" in word for word in self.words) else PromptBy.STDIN

    @property
    def asks(self) -> bool:
        """Whether it has to be told what to do."""
        is_told = self.prompt_by is not None or any("{prompt" in word for word in self.words)
        return self.preset is not None or is_told


class TaskPlan(_Part):
    """One patch: a ready diff, or one that a tool makes; or a step without one: a command, or nothing.

    Exactly one of `patch`, `tool`, `command` and `noop` is given.
    """

    title: Text | None = Field(default=None, description="What people read.")
    patch: Text | None = Field(default=None, description="A ready diff; path relative to the plan file.")
    tool: str | None = Field(default=None, description="The tool that makes the patch.")
    command: Command | None = Field(
        default=None,
        description="A command that has to end well before what needs this task goes on; it makes no patch.",
    )
    noop: StrictBool = Field(
        default=False, description="Nothing is done: a point that several tasks need, or are needed by."
    )
    prompt: Text | None = Field(default=None, description="What the tool is asked to do.")
    prompt_file: Text | None = Field(
        default=None, description="The same from a file; path relative to the plan file."
    )
    needs: tuple[str, ...] = Field(default=(), description="Tasks of the same workstream that come first.")
    scope: Globs | None = Field(
        default=None,
        description="Gitignore-style globs: all that its patch may touch. Default: what policy allows.",
    )
    gates: tuple[str, ...] | None = Field(
        default=None,
        description="Gates on its patch; `[]` for none. Default: every gate whose `on` has task.",
    )
    timeout: Duration | None = Field(
        default=None,
        description="Wall time of its tool or command. Default: the tool's, or `command_timeout`.",
    )
    max_retries: Count = Field(default=3, description="How often a tool or command is tried again.")
    budget_usd: Dollars | None = Field(
        default=None,
        description="What all attempts of its tool may cost in US dollars, where the tool reports its cost.",
    )
    critical: StrictBool = Field(default=True, description="Its failure fails the workstream.")
    message: Text | None = Field(
        default=None, description="Commit message. Default: the patch's own, or the title, or the name."
    )
    author: Author | None = Field(
        default=None, description="Author of the commit. Default: the patch's own, or the tool."
    )
    date: Date | None = Field(
        default=None, description="Author date of the commit. Default: the patch's own, or now."
    )
    policy: PolicyLayer = Field(default=PolicyLayer(), description="May only tighten the policy around it.")

    @property
    def kind(self) -> TaskKind:
        """Where the patch comes from."""
        if self.patch is not None:
            return TaskKind.PATCH
        if self.tool is not None:
            return TaskKind.TOOL
        return TaskKind.NOOP if self.command is None else TaskKind.COMMAND


class WorkstreamPlan(_Part):
    """Tasks that land as a whole or not at all."""

    title: Text | None = Field(default=None, description="What people read.")
    needs: tuple[str, ...] = Field(default=(), description="Workstreams that must be completed first.")
    critical: StrictBool = Field(default=True, description="Its failure fails the run.")
    priority: StrictInt = Field(default=0, description="Higher goes first.")
    gates: tuple[str, ...] | None = Field(
        default=None,
        description="Gates on the merged result; `[]` for none. Default: every gate whose `on` has landing.",
    )
    policy: PolicyLayer = Field(default=PolicyLayer(), description="May only tighten the policy around it.")
    overlap: Overlap | None = Field(
        default=None, description="As the plan's `overlap`, for tasks of this workstream."
    )
    on_rollback: tuple[Command, ...] = Field(
        default=(),
        description="Commands run on the target, in turn, once all that landed of it is rolled back.",
    )
    tasks: Annotated[Mapping[Name, TaskPlan], Field(min_length=1)] = Field(
        description="Its tasks by name, in the order in which their patches are applied."
    )

    def task_order(self) -> list[str]:
        """Return the tasks as their patches are applied: in the order listed, unless needs demand another."""
        return stable_order({name: task.needs for name, task in self.tasks.items()})


class KeepPlan(_Part):
    """What of a prepared worktree is there for every job."""

    paths: Globs = Field(default=(), description="Globs of untracked paths.")
    shared: StrictBool = Field(
        default=False, description="Each job finds there what the job before left, not what `prepare` did."
    )


Keep = Annotated[
    KeepPlan,
    BeforeValidator(_keep),
    PlainSerializer(
        lambda keep: {"paths": list(keep.paths), "shared": True} if keep.shared else list(keep.paths),
        when_used="json",
    ),
    WithJsonSchema(
        {
            "description": "untracked paths; `shared`: each job finds what the job before left there",
            "anyOf": [
                {"type": "array", "items": {"type": "string"}},
                {
                    "type": "object",
                    "properties": {
                        "paths": {"type": "array", "items": {"type": "string"}},
                        "shared": {"type": "boolean"},
                    },
                    "additionalProperties": False,
                },
            ],
        }
    ),
]


class Plan(_Part):
    """What to land, where, and what must hold before it does."""

    maingate: Literal[1] = Field(description="Version of this format.")
    name: Text = Field(default="plan", description="What people read. Default: the plan file's name.")
    repo: Text | None = Field(
        default=None,
        description="The repository; path relative to the plan file. "
        "Default: the one around the plan file, else around the working directory.",
    )
    target: BranchName | None = Field(
        default=None, description="The branch to land on. Default: the one checked out."
    )
    landing: Landing = Field(
        default=Landing.MERGE, description="One merge commit, one squashed commit, or a linear history."
    )
    strict: StrictBool = Field(
        default=True,
        description="Every landed state was tested as it is; false lets a later one vouch for earlier ones. "
        "No difference while workstreams are proved one by one, as they are.",
    )
    policy: PolicyLayer = Field(
        default=PolicyLayer(), description="May only tighten what `maingate.toml` sets."
    )
    gates: Mapping[Name, GateDefinition] = Field(default={}, description="Gates by name.")
    prepare: tuple[Command, ...] = Field(
        default=(),
        description="Commands that prepare a worktree: before every job, or with `keep` once and again when "
        "`prepare_inputs` change.",
    )
    prepare_inputs: Globs = Field(default=(), description="What `prepare` depends on.")
    keep: Keep = Field(
        default=KeepPlan(), description="Untracked paths at which every job finds what `prepare` left there."
    )
    tools: Mapping[Name, ToolDefinition] = Field(default={}, description="Tools by name.")
    budget_usd: Dollars | None = Field(
        default=None,
        description="What all tools of the run may cost in US dollars, where they report their cost.",
    )
    overlap: Overlap = Field(
        default=Overlap.SERIAL,
        description="Whether tools may work side by side whose scopes may touch the same paths.",
    )
    notify: tuple[Command, ...] = Field(
        default=(),
        description="Commands run at the repository's root after a rollback, or a run with trouble.",
    )
    workstreams: Annotated[Mapping[Name, WorkstreamPlan], Field(min_length=1)] = Field(
        description="Workstreams by name."
    )

    def reviewers(self, workstream: str, task: str) -> int:
        """Return how many people have to approve a task's patch: the strictest layer decides."""
        return max((layer.reviewers or 0 for layer in self.policy_layers(workstream, task)), default=0)

    def task_gates(self, workstream: str, task: str) -> list[str]:
        """Return the gates that a task's patch must pass, each after those it needs.

        What a listed gate needs is run too, whether listed or not: a gate whose need did not pass is blocked.
        """
        described = self.workstreams[workstream].tasks[task]
        if not described.kind.gives_a_patch:
            return []
        listed = described.gates
        return self._in_order(self.gates_on(Level.TASK) if listed is None else list(listed))

    def landing_gates(self, workstream: str) -> list[str]:
        """Return the gates that the merged result must pass, each after those it needs."""
        listed = self.workstreams[workstream].gates
        return self._in_order(self.gates_on(Level.LANDING) if listed is None else list(listed))

    def gates_on(self, level: Level) -> list[str]:
        """Return the gates whose `on` has the level, as listed."""
        return [name for name, gate in self.gates.items() if level in gate.on]

    def workstream_order(self) -> list[str]:
        """Return the workstreams: each after those it needs, higher priority first, else as listed."""
        needs = {name: workstream.needs for name, workstream in self.workstreams.items()}
        return stable_order(needs, rank=lambda name: (-self.workstreams[name].priority,))

    def policy_layers(self, workstream: str, task: str) -> tuple[PolicyLayer, PolicyLayer, PolicyLayer]:
        """Return the plan's, the workstream's and the task's policy, outermost first."""
        inner = self.workstreams[workstream]
        return self.policy, inner.policy, inner.tasks[task].policy

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form, without what has its default; `from_json` gives the same plan back."""
        return {
            "maingate": FORMAT_VERSION,
            **self.model_dump(mode="json", exclude_none=True, exclude_defaults=True),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Plan":
        """Read the JSON form back, as stored with a run: its names were judged when it was admitted."""
        return cls.model_validate(value, context={ANY_NAME: True})

    def _in_order(self, wanted: list[str]) -> list[str]:
        reached: set[str] = set()
        while wanted:
            name = wanted.pop()
            if name not in reached:
                reached.add(name)
                wanted.extend(self.gates[name].needs)
        order = stable_order({name: gate.needs for name, gate in self.gates.items()})
        return [name for name in order if name in reached]
