"""The plan as values: the content of a plan file that was read and found valid.

The file format is described for people in ``docs/PLAN_FILE.md``. Models are frozen and know no files;
``loader`` reads them, ``validation`` makes the checks that a single field cannot make.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, Field, PlainSerializer, StrictBool, StrictInt, WithJsonSchema

from maingate.plan.choices import (
    LandingStyle,
    Level,
    OnApplied,
    Overlap,
    Proof,
    SubmoduleDepth,
    TaskKind,
    Whitespace,
)
from maingate.plan.definitions import GateDefinition, ToolDefinition
from maingate.plan.fields import Author, Command, CommitId, Date, Dollars, PlanPart, Text, fault
from maingate.plan.names import ANY_NAME, BranchName, Name
from maingate.plan.order import landing_order, stable_order
from maingate.settings.durations import Duration
from maingate.settings.policy_layer import Count, Globs, PolicyLayer
from maingate.settings.problems import as_written

FORMAT_VERSION: Final = 1


class TaskPlan(PlanPart):
    """A task: a ready diff, a tool that makes one, or a step without a patch: a command, or no work at all.

    Exactly one of `patch`, `tool`, `command` and `noop` is given.
    """

    title: Text | None = Field(default=None, description="A title for people.")
    patch: Text | None = Field(default=None, description="A ready diff; path relative to the plan file.")
    commit: CommitId | None = Field(
        default=None,
        description="The commit that the ready diff is of. With `landing: merge` it lands as it is, where it "
        "is the diff on the commit before it.",
    )
    tool: str | None = Field(default=None, description="The tool that makes the patch.")
    command: Command | None = Field(
        default=None,
        description="A command that must succeed before the tasks that need this one start; it makes no "
        "patch.",
    )
    noop: StrictBool = Field(
        default=False, description="No work: a point that several tasks need, or that needs several."
    )
    prompt: Text | None = Field(default=None, description="The prompt of the tool.")
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
    max_retries: Count = Field(default=3, description="Most retries of its tool or command.")
    budget_usd: Dollars | None = Field(
        default=None,
        description="Most that all attempts of its tool may cost in US dollars, where the tool reports its "
        "cost.",
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
    whitespace: Whitespace | None = Field(
        default=None, description="As the plan's `whitespace`, for the patch of this task."
    )
    scissors: StrictBool = Field(
        default=False,
        description="Whether only the text below a scissors line (`-- >8 --`) is the message of its mail.",
    )
    policy: PolicyLayer = Field(default=PolicyLayer(), description="May only tighten the policy around it.")

    @property
    def kind(self) -> TaskKind:
        """The source of the patch."""
        if self.patch is not None:
            return TaskKind.PATCH
        if self.tool is not None:
            return TaskKind.TOOL
        return TaskKind.NOOP if self.command is None else TaskKind.COMMAND


class WorkstreamPlan(PlanPart):
    """Tasks that land as a whole or not at all."""

    title: Text | None = Field(default=None, description="A title for people.")
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
    base: CommitId | None = Field(
        default=None,
        description="A commit of the target's history that its patches are applied on. Default: the target's "
        "head.",
    )
    source: Text | None = Field(
        default=None,
        description="The work that its patches are of, such as a branch; any name. A later run of the "
        "same work on the same target takes the place of this one in the inbox. `maingate land` sets it.",
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


def _keep(value: object) -> object:
    """Parse the short form: a list of paths."""
    if not isinstance(value, list | tuple):
        if isinstance(value, Mapping | BaseModel):
            return value
        hint = 'write [".venv"], or {paths: [".venv"], shared: true}'
        raise fault("keep_invalid", f"'keep' must be a list of paths, not {as_written(value)}", hint)
    for path in value:
        if not isinstance(path, str):
            raise fault("keep_invalid", f"{as_written(path)} in 'keep' is not text", "write it in quotes")
    return {"paths": tuple(value)}


class KeepPlan(PlanPart):
    """The untracked paths of a prepared worktree that every job finds."""

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


class Plan(PlanPart):
    """A plan: the work to land, its target, and the conditions for landing."""

    maingate: Literal[1] = Field(description="Version of this format.")
    name: Text = Field(default="plan", description="A name for people. Default: the plan file's name.")
    repo: Text | None = Field(
        default=None,
        description="The repository; path relative to the plan file. "
        "Default: the one around the plan file, else around the working directory.",
    )
    target: BranchName | None = Field(
        default=None, description="The branch to land on. Default: the one checked out."
    )
    landing: LandingStyle = Field(
        default=LandingStyle.MERGE, description="One merge commit, one squashed commit, or a linear history."
    )
    proof: Proof | None = Field(
        default=None,
        description="The states of the target that are tested as they are: `commit`, each, and each patch by "
        "itself; `ref`, each that the branch ever has; `later`, a later one vouches for those before it. "
        "Default: the repository's, or `ref`. May only tighten the repository's.",
    )
    strict: StrictBool | None = Field(
        default=None,
        description="Older than `proof`: `true` asks for `ref` at least, `false` for `later` at least.",
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
    prepare_inputs: Globs = Field(default=(), description="Globs of the files that `prepare` depends on.")
    prepare_timeout: Duration | None = Field(
        default=None,
        description="Wall time of each command of `prepare`, and of checking submodules out. "
        "Default: the setting `prepare_timeout`.",
    )
    keep: Keep = Field(
        default=KeepPlan(), description="Untracked paths at which every job finds what `prepare` left there."
    )
    submodules: SubmoduleDepth = Field(
        default=SubmoduleDepth.NONE, description="The submodules that every job has, checked out by git."
    )
    tools: Mapping[Name, ToolDefinition] = Field(default={}, description="Tools by name.")
    budget_usd: Dollars | None = Field(
        default=None,
        description="Most that all tools of the run may cost in US dollars, where they report their cost.",
    )
    overlap: Overlap = Field(
        default=Overlap.SERIAL,
        description="Whether tools work side by side whose scopes may touch the same paths. Tools without a "
        "scope always do.",
    )
    on_applied: OnApplied = Field(
        default=OnApplied.SKIP,
        description="Whether a patch whose change the target has already is done, with a note, or refused.",
    )
    whitespace: Whitespace = Field(
        default=Whitespace.KEEP,
        description="Line endings of ready patches: as they are, or with `fix-eol` those of the file that "
        "the patch changes.",
    )
    notify: tuple[Command, ...] = Field(
        default=(),
        description="Commands run at the repository's root after a rollback, or a run with trouble.",
    )
    workstreams: Annotated[Mapping[Name, WorkstreamPlan], Field(min_length=1)] = Field(
        description="Workstreams by name."
    )

    @property
    def promise(self) -> Proof:
        """The proof that counts: the tightest that is asked for, `ref` where none is."""
        asked = [self.proof] if self.proof is not None else []
        if self.strict is not None:
            asked.append(Proof.REF if self.strict else Proof.LATER)
        return min(asked, key=list(Proof).index, default=Proof.REF)

    def reviewers(self, workstream: str, task: str) -> int:
        """Return the number of people who must approve a task's patch: the strictest layer decides."""
        return max((layer.reviewers or 0 for layer in self.policy_layers(workstream, task)), default=0)

    def task_gates(self, workstream: str, task: str) -> list[str]:
        """Return the gates that a task's patch must pass, each after those it needs.

        The needs of a listed gate are run too, listed or not: a gate whose need did not pass is blocked.
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
        return [name for name, gate in self.gates.items() if gate.on is None or level in gate.on]

    def defers_gates(self, workstream: str) -> bool:
        """Return whether a workstream's merged result is judged first, and its patches only if that fails.

        All its patches are ready ones, none waits for another to be complete, and their gates are those of
        the merged result and do not ask for more; nor does the proof.
        """
        if self.promise is Proof.COMMIT:
            return False
        described = self.workstreams[workstream]
        kinds = {task.kind for task in described.tasks.values()}
        listed = [described.gates, *(task.gates for task in described.tasks.values())]
        if not kinds <= {TaskKind.PATCH, TaskKind.NOOP} or any(gates is not None for gates in listed):
            return False
        if any(task.needs for task in described.tasks.values()):
            return False
        asked = self.gates_on(Level.TASK)
        return bool(asked) and all(self.gates[name].on is None for name in asked)

    def sorted_gates(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return some gates, each once, and after those it needs."""
        wanted = set(names)
        order = stable_order({name: gate.needs for name, gate in self.gates.items()})
        return tuple(name for name in order if name in wanted)

    def workstream_order(self) -> list[str]:
        """Return the workstreams in the order in which they land (`landing_order`)."""
        needs = {name: workstream.needs for name, workstream in self.workstreams.items()}
        return landing_order(needs, lambda name: self.workstreams[name].priority)

    def policy_layers(self, workstream: str, task: str) -> tuple[PolicyLayer, PolicyLayer, PolicyLayer]:
        """Return the plan's, the workstream's and the task's policy, outermost first."""
        inner = self.workstreams[workstream]
        return self.policy, inner.policy, inner.tasks[task].policy

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form, without values that are defaults; `from_json` returns the same plan."""
        return {
            "maingate": FORMAT_VERSION,
            **self.model_dump(mode="json", exclude_none=True, exclude_defaults=True),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Plan":
        """Return the plan of its JSON form, as stored with a run; its names were checked at admission."""
        return cls.model_validate(dict(value), context={ANY_NAME: True})

    def _in_order(self, wanted: list[str]) -> list[str]:
        reached: set[str] = set()
        while wanted:
            name = wanted.pop()
            if name not in reached:
                reached.add(name)
                wanted.extend(self.gates[name].needs)
        return list(self.sorted_gates(reached))
