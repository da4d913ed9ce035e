"""Presets of well-known agents: their command lines for unattended work, and their pitfalls.

The command lines were checked against the agents' documentation; docs/TOOLS.md describes them for people.
All of them read the prompt from standard input or from a file: an argument is visible to all who can list
processes, and cannot be longer than 128 KiB.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from maingate.plan.choices import Preset, PromptBy

MAX_TURNS: Final = 200


@dataclass(frozen=True, kw_only=True)
class PresetCommand:
    """Command line of an agent.

    Args:
        title: Its name for people.
        words: Program and arguments.
        model: Arguments that choose the model.
        budget: Arguments that limit the cost, if it has such an option.
        last: Arguments after those of the plan.
        prompt_by: The way in which it gets the prompt.
        env: Variables that disable prompts and telemetry.
        exclude: Globs of files that it leaves in the worktree and that are no part of a patch.
        traps: Notes for users.
    """

    title: str
    words: tuple[str, ...]
    model: tuple[str, ...]
    budget: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    prompt_by: PromptBy = PromptBy.STDIN
    env: Mapping[str, str] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    traps: tuple[str, ...] = ()


PRESETS: Final[Mapping[Preset, PresetCommand]] = {
    "claude": PresetCommand(
        title="Claude Code",
        words=(
            "claude",
            "-p",
            "--output-format",
            "stream-json",
            "--verbose",
            "--permission-mode",
            "acceptEdits",
            "--max-turns",
            str(MAX_TURNS),
        ),
        model=("--model", "{}"),
        budget=("--max-budget-usd", "{}"),
        env={"DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"},
        traps=(
            (
                "It edits files but may run no command that asks for permission: such a call is denied and "
                "it goes on. Allow what it needs by args: [--allowedTools, 'Bash(pytest:*)']."
            ),
            (
                "It obeys the repository's own settings and hooks (.claude/). With --bare in args it does "
                "not, and then wants an API key in the environment."
            ),
            (
                "The budget is looked at between turns, so one turn can go beyond it; a run that was stopped "
                "by it may call itself no error. Maingate goes by `subtype`."
            ),
        ),
    ),
    "codex": PresetCommand(
        title="Codex",
        words=("codex", "exec", "--json", "--sandbox", "workspace-write"),
        model=("--model", "{}"),
        last=("-",),
        traps=(
            "Its own default sandbox is read-only: without --sandbox workspace-write it changes nothing.",
            (
                "It reads standard input even when the prompt is an argument, and waits for its end for "
                "ever; here the prompt comes on standard input, which ends."
            ),
            "It reports tokens and no dollars: a budget in dollars cannot be kept with it.",
            "Its sandbox has no network; where user namespaces are forbidden (many containers) it fails.",
        ),
    ),
    "aider": PresetCommand(
        title="Aider",
        words=(
            "aider",
            "--message-file",
            "{prompt_file}",
            "--yes-always",
            "--no-auto-commits",
            "--no-dirty-commits",
            "--no-stream",
            "--no-pretty",
            "--no-check-update",
            "--no-gitignore",
            "--no-show-release-notes",
            "--no-suggest-shell-commands",
            "--no-analytics",
            "--chat-history-file",
            "/dev/null",
            "--input-history-file",
            "/dev/null",
        ),
        model=("--model", "{}"),
        prompt_by=PromptBy.FILE,
        exclude=(".aider*",),
        traps=(
            "It exits with 0 when its provider fails: Maingate goes by what it printed and by the patch.",
            "It changes only files that it is given or decides to add; name them by args: [src/a.py].",
            "It leaves .aider* files in the worktree, which are never part of the patch.",
            "With --yes-always it also says yes to fetching web pages that the prompt names.",
        ),
    ),
    "gemini": PresetCommand(
        title="Gemini CLI",
        words=("gemini", "--output-format", "json", "--approval-mode", "auto_edit"),
        model=("--model", "{}"),
        env={"GEMINI_CLI_TRUST_WORKSPACE": "true"},
        traps=(
            "auto_edit lets it edit files; shell commands, which would ask, are denied.",
            (
                "In a folder that is not trusted it falls back to asking, that is to changing nothing; the "
                "worktree is therefore declared trusted, and the repository's .gemini/ settings count."
            ),
            "It exits with 1 when the provider fails, 42 for a prompt it cannot read, 53 at its turn limit.",
            "It reports tokens and no dollars.",
        ),
    ),
    "opencode": PresetCommand(
        title="OpenCode",
        words=("opencode", "run", "--format", "json", "--auto"),
        model=("--model", "{}"),
        env={"OPENCODE_DISABLE_AUTOUPDATE": "1"},
        traps=(
            "--auto approves everything that its configuration does not forbid, shell commands included.",
            "Many versions exit with 0 after an error: Maingate goes by its error events.",
            "Models are named provider/model.",
            "It may start language servers that outlive it; they are ended with it.",
        ),
    ),
}
"""All presets, by their names in plans."""
