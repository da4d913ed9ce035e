"""Checks of the tools that a plan defines."""

from collections.abc import Iterator

from maingate.plan.checks.context import PlanContext
from maingate.plan.choices import CaptureSource, PromptBy
from maingate.plan.definitions import ToolDefinition
from maingate.plan.model import Plan
from maingate.settings.problems import Location, Mistake


def check_tools(plan: Plan, context: PlanContext) -> Iterator[Mistake]:
    """Find what is wrong with the tools that a plan defines."""
    used = {task.tool for workstream in plan.workstreams.values() for task in workstream.tasks.values()}
    for name, tool in plan.tools.items():
        yield from _check_secrets(tool, ("tools", name), context, is_used=name in used)
        if context.has_refused(("tools", name), "run", "preset"):
            continue
        if (tool.run is None) == (tool.preset is None):
            said = "neither 'run' nor 'preset'" if tool.run is None else "both 'run' and 'preset'"
            yield Mistake(
                location=("tools", name), message=f"tool {name!r} has {said}", hint="give exactly one"
            )
        elif tool.run is None:
            yield from _check_preset(tool, ("tools", name))
        else:
            yield from _check_command(tool, ("tools", name))


def _check_secrets(
    tool: ToolDefinition, place: Location, context: PlanContext, *, is_used: bool
) -> Iterator[Mistake]:
    for at, secret in enumerate(tool.secrets):
        if secret in tool.env:
            message = f"{secret!r} is a secret, and 'env' sets it"
            hint = "keep it out of the plan: set it in the environment of `maingate run`"
            yield Mistake(location=(*place, "env"), message=message, hint=hint)
        elif (receiver := context.settings.receiver_of_secret(secret)) is not None:
            message = f"{secret!r} is the secret of the webhook {receiver!r}, which no tool may see"
            hint = "remove it, or name another variable in the settings of the webhook"
            yield Mistake(location=(*place, "secrets", at), message=message, hint=hint)
        elif is_used and secret not in context.environ:
            message = f"the secret {secret!r} is not set in the environment"
            yield Mistake(
                location=(*place, "secrets", at), message=message, hint=f"set {secret}, or remove it"
            )


def _check_preset(tool: ToolDefinition, place: Location) -> Iterator[Mistake]:
    if tool.prompt_by is not None:
        message = "'prompt_by' is for 'run'"
        hint = "remove the key: a preset has its own way to pass the prompt"
        yield Mistake(location=(*place, "prompt_by"), message=message, hint=hint)
    if tool.capture is CaptureSource.STDOUT:
        hint = "remove the key: what it leaves in the worktree is taken"
        yield Mistake(location=(*place, "capture"), message="a preset prints no diff", hint=hint)


def _check_command(tool: ToolDefinition, place: Location) -> Iterator[Mistake]:
    for key, is_given in (("model", tool.model is not None), ("args", bool(tool.args))):
        if is_given:
            hint = "write it into 'run'"
            yield Mistake(location=(*place, key), message=f"{key!r} is for presets", hint=hint)
    if tool.prompt_by is PromptBy.ARGUMENT and not any("{prompt}" in word for word in tool.words):
        message = "the prompt is to be an argument, and 'run' has no place for it"
        hint = "write {prompt} where it goes"
        yield Mistake(location=(*place, "prompt_by"), message=message, hint=hint)
