"""A plan that has one of everything, for tests that disturb its run: what they must all end in."""

import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.crashing import End, World, end_of, kill_all

STYLES = ("merge", "squash", "rebase")
UNIT = "! grep -rq bad --include=*.txt ."
READY = "test -f a.txt"
PREPARE = "test -d ."


@dataclass(frozen=True, kw_only=True)
class Story:
    """A plan that has one of everything, and how it ends when nobody touches it."""

    template: World
    end: End
    seconds: float


_STORIES: dict[str, Story] = {}
"""Told once in each process that tests run in."""


class Telling:
    """Makes worlds, each ready to run the story."""

    def __init__(self, folder: Path, templates: pytest.TempPathFactory) -> None:
        self._folder, self._templates = folder, templates
        self._worlds: list[World] = []

    def world(self, style: str = "merge") -> World:
        """Make a world."""
        world = self.story(style).template.copy(self._folder / f"world.{len(self._worlds)}")
        self._worlds.append(world)
        return world

    def held_up(self) -> World:
        """Make a world whose gates say that they have begun, and then wait until they may go on."""
        world = self.world()
        waiting = (
            f"echo $$ >> {world.folder}/begun; until test -e {world.folder}/go; do sleep 0.02; done; {UNIT}"
        )
        world.rewrite({UNIT: waiting})
        return world

    def story(self, style: str = "merge") -> Story:
        """Run the story undisturbed, once."""
        if style not in _STORIES:
            template = the_story(self._templates.mktemp("story") / "template", style)
            played = template.copy(template.folder.parent / "played")
            began = time.monotonic()
            code = played.run().ended()
            seconds = time.monotonic() - began
            _STORIES[style] = Story(template=template, end=end_of(played, code), seconds=seconds)
        return _STORIES[style]

    def close(self) -> None:
        """End what is left running."""
        kill_all(command for world in self._worlds for command in world.commands)


def the_story(folder: Path, style: str) -> World:
    """Make a plan that has one of everything: good, red, refused, conflicting, needs, commands, nothing."""
    lines = {f"{name}.txt": "".join(f"{name}{at}\n" for at in range(9)) for name in "abcd"}
    world = World.create(folder, {**lines})
    text = lines["a.txt"]
    changes: dict[str, dict[str, str | None]] = {
        "good-a": {"a.txt": text.replace("a1", "A1")},
        "good-b": {"b.txt": "b\n"},
        "good-c": {"c.txt": None, "sub/c.txt": "c\n"},
        "good-d": {"d.txt": "d\n"},
        "clash": {"a.txt": text.replace("a1", "other")},
        "red": {"d.txt": "bad\n"},
        "secret": {"secrets/key": "s\n"},
    }
    patches = {name: world.repo.diff_of({**files}) for name, files in changes.items()}
    world.write_plan(
        patches,
        landing=style,
        prepare=[PREPARE],
        gates={
            "lint": {"type": "LINT", "run": "test -d sub || true"},
            "unit": {"run": UNIT, "needs": ["lint"]},
        },
        workstreams={
            "first": {
                "tasks": {
                    "ready": {"command": READY},
                    "a": {"patch": "good-a", "needs": ["ready"]},
                    "point": {"noop": True, "needs": ["a"]},
                    "red": {"patch": "red", "critical": False},
                    "b": {"patch": "good-b", "needs": ["point"]},
                }
            },
            "clash": {"critical": False, "tasks": {"t": {"patch": "clash"}}},
            "refused": {"critical": False, "tasks": {"t": {"patch": "secret"}}},
            "second": {
                "needs": ["first"],
                "tasks": {"c": {"patch": "good-c"}, "check": {"command": "true", "needs": ["c"]}},
            },
            "third": {"tasks": {"d": {"patch": "good-d"}}},
        },
    )
    return world
