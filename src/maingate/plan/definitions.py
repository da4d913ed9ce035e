"""Gates and tools, which a plan defines by name."""

from typing import Annotated

from pydantic import Field, StrictBool, StrictInt

from maingate.plan.choices import CaptureSource, GateType, Level, Preset, PromptBy
from maingate.plan.fields import Command, Dollars, Environment, ExitCodes, PlanPart, Regex, Text, VariableName
from maingate.settings.durations import Duration, Size
from maingate.settings.policy_layer import Count, Globs


class GateDefinition(PlanPart):
    """A command that must pass on a tree."""

    type: GateType = Field(default=GateType.UNIT, description="Its kind.")
    run: Command = Field(description="The command, run at the root of a worktree.")
    needs: tuple[str, ...] = Field(default=(), description="Gates that must have passed first.")
    timeout: Duration | None = Field(
        default=None,
        description="Wall time after which it has failed. Defaults to the setting `gate_timeout`.",
    )
    idle_timeout: Duration | None = Field(
        default=None, description="Time without output after which it has failed. Defaults to the setting."
    )
    retries: Count = Field(default=0, description="Most retries of a flaky gate before it has failed.")
    expect: ExitCodes = Field(default=(0,), description="Exit codes that mean passed.")
    env: Environment = Field(default={}, description="Environment variables set for it.")
    inputs: Globs | None = Field(
        default=None,
        description="Globs that its verdict depends on: unchanged inputs, reused verdict. Default: the whole "
        "tree.",
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
    on: tuple[Level, ...] | None = Field(
        default=None,
        description="The places where it runs when a task or workstream does not list its gates: `task` on "
        "each patch, `landing` on the merged result. By default on the merged result, on each patch of a "
        "tool, and on each ready patch of a workstream whose merged result has failed.",
    )


class ToolLimits(PlanPart):
    """Limits on each process of a tool; a limit that is not given is taken from the settings."""

    cpu: Duration | None = Field(default=None, description="CPU time of one process.")
    memory: Size | None = Field(default=None, description="Address space of one process.")
    processes: Annotated[StrictInt, Field(ge=1)] | None = Field(
        default=None, description="Processes of the user; the system counts all of them."
    )
    file_size: Size | None = Field(default=None, description="Size of one file that it writes.")


class ToolDefinition(PlanPart):
    """A command, or a preset, that makes patches."""

    run: Command | None = Field(
        default=None,
        description="The command; `{prompt}` and `{prompt_file}` are replaced. Or give `preset`.",
    )
    preset: Preset | None = Field(default=None, description="A well-known agent instead of `run`.")
    prompt_by: PromptBy | None = Field(
        default=None,
        description="The way to pass the prompt to `run`. Default: by the placeholders in it, else `stdin`.",
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
        default=(),
        description="Capabilities that a worker must have to run it; local workers have all that are named.",
    )
    max_concurrent: Annotated[StrictInt, Field(ge=1)] | None = Field(
        default=None, description="Most that run at once. Default: as many as there are workers."
    )
    expect: ExitCodes = Field(default=(0,), description="Exit codes that mean it did its work.")
    capture: CaptureSource = Field(
        default=CaptureSource.WORKTREE, description="`worktree`, or `stdout` when it prints a diff."
    )
    env: Environment = Field(default={}, description="Environment variables set for it.")
    secrets: tuple[VariableName, ...] = Field(
        default=(),
        description="Names of environment variables that only this tool sees, redacted in all that is kept.",
    )
    limits: ToolLimits = Field(default=ToolLimits(), description="Limits on each of its processes.")
    rate_limit: tuple[Regex, ...] = Field(
        default=(),
        description="Regular expressions; a failed tool that printed a match was refused by its provider.",
    )
    max_cost_usd: Dollars | None = Field(
        default=None, description="Budget per task in US dollars, where the tool reports its cost."
    )

    @property
    def words(self) -> tuple[str, ...]:
        """The words of `run`: a shell command is one word."""
        return (self.run,) if isinstance(self.run, str) else self.run or ()

    @property
    def prompt_channel(self) -> PromptBy:
        """The way to pass the prompt to `run`: as the plan states, or else by its placeholders."""
        if self.prompt_by is not None:
            return self.prompt_by
        if any("{prompt}" in word for word in self.words):
            return PromptBy.ARGUMENT
        return PromptBy.FILE if any("{prompt_file}" in word for word in self.words) else PromptBy.STDIN

    @property
    def needs_prompt(self) -> bool:
        """Return whether a task of it must have a prompt."""
        has_place = self.prompt_by is not None or any("{prompt" in word for word in self.words)
        return self.preset is not None or has_place
