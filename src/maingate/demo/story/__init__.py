"""The demo's story: a small project, patches for it, and their expected ends.

`project/` has the files of the project, `patches/` one patch for each task of the scenes, as git made it or
damaged on purpose: `readme-usage` has wrong line counts, `truncated-code` breaks off; `git-speedup-config`
and `shortcut-link` are hostile.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from maingate.reasons import ReasonCode

FILES: Final = Path(__file__).parent
PROJECT: Final = FILES / "project"
"""The files of the project before anything lands."""


@dataclass(frozen=True, kw_only=True)
class StoryPatch:
    """A patch of the story.

    Args:
        task: The task's name in the plan.
        title: The title of its commit; by default the workstream's.
    """

    task: str
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One workstream of the story.

    Args:
        name: The workstream's name in the plan.
        title: Its title.
        patches: Its patches, one per task.
        refused: The code of its expected refusal; None if it must land.
        told: The outcome and its cause, for the reader.
    """

    name: str
    title: str
    patches: tuple[StoryPatch, ...]
    refused: ReasonCode | None = None
    told: str

    @property
    def lands(self) -> bool:
        """Return whether it must land."""
        return self.refused is None


def file_of(scene: Scene, patch: StoryPatch) -> Path:
    """Return the file of a patch."""
    return FILES / "patches" / f"{scene.name}-{patch.task}.patch"


SCENES: Final[tuple[Scene, ...]] = (
    Scene(
        name="quantities",
        title="Show quantities on the receipt",
        patches=(
            StoryPatch(task="code", title="receipt: show quantities"),
            StoryPatch(task="test", title="tests: a row shows its quantity"),
        ),
        told="Two patches. Each was tested on its own branch, on top of the one before; then both landed "
        "together, as one merge.",
    ),
    Scene(
        name="thousands",
        title="Group thousands: $1,234.50",
        patches=(StoryPatch(task="code"),),
        told="Made when main did not have the quantities yet. It was tested again merged with them, and "
        "only then landed.",
    ),
    Scene(
        name="readme",
        title="Explain how to use it",
        patches=(StoryPatch(task="usage"),),
        told="The line counts of this diff are wrong. `git apply` alone would accept it and silently lose "
        "the last two lines. Maingate noticed, repaired the count, and recorded the repair.",
    ),
    Scene(
        name="retire-legacy",
        title="Remove an unused module",
        patches=(StoryPatch(task="remove"),),
        told="A deletion. Nothing used the module when it landed.",
    ),
    Scene(
        name="daily-report",
        title="Report the day's takings",
        patches=(StoryPatch(task="code"),),
        refused=ReasonCode.GATE_FAILED,
        told="Its own tests pass, and it merges without a conflict. But it uses the module that "
        "retire-legacy removed: green alone, red together. Testing the merged result found it.",
    ),
    Scene(
        name="faster-total",
        title="Add up faster",
        patches=(StoryPatch(task="sum"),),
        refused=ReasonCode.GATE_FAILED,
        told="Fast, and wrong: it forgets quantities and breaks a test. The gate ran twice on the same "
        "tree, so that a flaky test blames no patch, and failed twice.",
    ),
    Scene(
        name="aligned",
        title="Align the receipt in columns",
        patches=(StoryPatch(task="columns"),),
        refused=ReasonCode.CONFLICT,
        told="It rewrites the very line that quantities rewrote before it. Maingate does not guess which "
        "of the two was meant; a person (or the tool that made it) must.",
    ),
    Scene(
        name="truncated",
        title="Apply discounts",
        patches=(StoryPatch(task="code"),),
        refused=ReasonCode.FORMAT_INVALID,
        told="The diff breaks off in the middle of a line, as when a tool runs out of tokens. Half a file "
        "is never landed.",
    ),
    Scene(
        name="git-speedup",
        title="Make git faster",
        patches=(StoryPatch(task="config"),),
        refused=ReasonCode.POLICY_VIOLATION,
        told="It would make git itself run a stranger's command, on your machine, at your next `git "
        "status`. No patch may touch .git, in any spelling.",
    ),
    Scene(
        name="shortcut",
        title="Read the settings from their own folder",
        patches=(StoryPatch(task="link"),),
        refused=ReasonCode.POLICY_VIOLATION,
        told="First it makes a link to a folder outside the repository, then it writes a file through that "
        "link. That folder is still empty.",
    ),
)
"""The workstreams, in the plan's order."""
