"""The reference of settings, made from the model: a page and a commented ``maingate.toml``."""

import json
from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Any, Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from maingate.settings.durations import format_duration
from maingate.settings.environment_settings import variable_of, variables
from maingate.settings.model import (
    MACHINE_SIZED,
    NEVER_FROM_A_TREE,
    RULES_BY_NAME,
    GateLimits,
    ServerSettings,
    Settings,
    WebhookSettings,
)
from maingate.settings.policy_layer import PolicyLayer
from maingate.settings.problems import Location

_TABLES: Final[tuple[tuple[str, type[BaseModel]], ...]] = (
    ("limits", GateLimits),
    ("server", ServerSettings),
    ("webhooks", WebhookSettings),
    ("policy", PolicyLayer),
)

_INTRODUCTION: Final = """\
# Settings

Made by `python -m maingate.settings` from the settings' model; do not edit.

Settings are read from these places; later wins, but a policy is only tightened:

1. `maingate.toml` at the root of the main work tree, which is a file of the repository like any other. In a
   linked work tree it is still the main one's that is read; a bare repository has none. Where the commit that
   a run is based on has the file in its tree, **the run takes its policy and rules from there**: `[policy]`,
   `[gates.NAME]`, `[tools.NAME]`, `prepare`, `prepare_inputs`, `keep`, `submodules`, `landing` and `proof`.
   So neither a branch nor a checkout can bring its own.
2. `maingate/maingate.toml` in git's common directory (`git rev-parse --git-common-dir`), the repository's
   own. It is made by hand, has the same keys, and no patch, checkout or `git clean` reaches it. A list of the
   policy may be in one of the two files only.
3. The environment.
4. Flags of the command line.

An unknown key of a file is refused, with everything else that is wrong. So is a variable that begins with
`MAINGATE_POLICY_` or `MAINGATE_LIMITS_` and is no setting: a setting for safety is never ignored silently.
(Lists of the policy go into a file.) Any other variable that begins with `MAINGATE_` and is no setting is
refused when it looks like a misspelt one, and else ignored, since other programs may use the prefix.
`maingate init` writes a `maingate.toml` with every setting commented out that it may have.

A patch that touches the root's `maingate.toml` waits for an approval (`maingate patch approve`) unless
`allow_settings_changes` is set, and what it changes counts from the next run on: a run goes by the tree's
file, and the work tree's, as they were when the run was admitted, also when it is resumed. A patch with which
the file could not be read, or has a setting that no commit may decide, is refused. A symbolic link of that
name is not read. The other places are read by every command.

Durations are `90s`, `10m`, `1h30m`, `1d` or a number of seconds; sizes are bytes or `512K`, `64MiB`, `2G`
(powers of 1024). In the environment a list is written with commas and an empty variable counts as not set.
Paths are absolute (`cache_dir` may begin with `~`), so the working directory of a command does not matter.
"""

_POLICY: Final = """\
The rules that every patch must keep. A plan, a workstream and a task can state a policy of their own, which
may only tighten this one: a path must match `allow` of every layer that states it and `forbid` of none, the
smallest limit counts, and a value that is `false` here stays false. A value that no layer states has its
default.

Lists of the policy cannot be set in the environment; other values of the policy may only tighten the file's.
"""


_RULES_TEXT: Final = """\
## `[gates.NAME]` and `[tools.NAME]`

The gates and tools of the repository, with the keys that they have in a plan (PLAN_FILE.md). Every plan, and
`maingate land`, inherits them, as it inherits `prepare`, `prepare_inputs`, `keep`, `submodules`,
`landing` and `proof` above. A tool in a file that commits can change has no `secrets`.

```toml
[gates.unit]
run = "pytest -q"
timeout = "10m"
```

A gate has one key more than in a plan: `required`, true by default. A plan may add gates, and tighten those
that it inherits by a gate of the same name with the keys that change. It may neither drop nor loosen a gate
that is required, or that such a gate needs:

| key | a plan may |
|---|---|
| `needs`, `versions`, `on` | add to the list |
| `expect` | list fewer |
| `timeout`, `idle_timeout`, `retries` | lower it |
| `needs_commit`, `exclusive` | set it to true |
| `type`, `run`, `env`, `inputs`, `red_on_base` | not change it |
| `gates` of a workstream or task | list more, and never leave out a required gate whose `on` has that place |
| `prepare`, `prepare_inputs`, `keep`, `submodules` | not change it, where a gate is required |

A gate with `required = false` is a default: a plan may change it or leave it out. A tool of the same name in
a plan replaces the repository's, `landing` in a plan goes before the repository's, and `proof` may only be
tighter than the repository's: `commit` is tighter than `ref`, and `ref` than `later`.

No two files state the same gate, tool or rule. A gate that changes is another gate: none of its earlier
verdicts is reused.
"""

_OF_THE_MACHINE: Final = """\
## Never from the tree

No commit may decide where the record and the caches lie, which variables gates and tools see, what a server
serves to whom (`[server]`), or who is sent events (`[webhooks.NAME]`). These settings are taken from the
repository's own file and from the environment. In the root's `maingate.toml` they are refused.
"""


_GATE: Final = """\
# The gates that every plan inherits: commands that must pass before anything lands.
# [gates.unit]
#   run = "pytest -q"
#   timeout = "10m"
"""


def markdown() -> str:
    """Return the documentation page of all settings."""
    parts = [
        _INTRODUCTION,
        _rows(Settings, (), without=NEVER_FROM_A_TREE),
        _OF_THE_MACHINE,
        _rows(Settings, (), only=NEVER_FROM_A_TREE),
        _RULES_TEXT,
    ]
    for name, model in _TABLES:
        about = _POLICY if name == "policy" else f"{Settings.model_fields[name].description}\n"
        title = f"[{name}.NAME]" if name == "webhooks" else f"[{name}]"
        parts += [f"## `{title}`\n", about, _rows(model, (name,))]
    return "\n".join(parts)


def commented_toml() -> str:
    """Return a ``maingate.toml`` with every setting as a comment; without the comment signs it is valid."""
    head = (
        "# Settings of Maingate for this repository. A setting that is commented out has its default.\n"
        f"# Not in this file, which commits can change: {', '.join(NEVER_FROM_A_TREE)}.\n"
        "# They go into maingate/maingate.toml in git's common directory, or into the environment.\n"
    )
    parts = [head, *_commented(Settings)]
    parts.append(_GATE)
    for name, model in _TABLES:
        if name in NEVER_FROM_A_TREE:
            continue
        parts.append(f"[{name}]\n# {Settings.model_fields[name].description}\n")
        parts += _commented(model)
    return "\n".join(parts)


def _rows(
    model: type[BaseModel],
    table: Location,
    *,
    without: Collection[str] = (),
    only: Collection[str] | None = None,
) -> str:
    known = variables()
    lines = ["| key | environment | meaning |", "|---|---|---|"]
    for name, info in _simple(model):
        if name in without or (only is not None and name not in only):
            continue
        variable = variable_of((*table, name))
        lines.append(f"| `{name}` | {f'`{variable}`' if variable in known else '-'} | {info.description} |")
    return "\n".join(lines) + "\n"


def _commented(model: type[BaseModel]) -> Iterator[str]:
    for name, info in _simple(model):
        if name in NEVER_FROM_A_TREE:
            continue
        words = str(info.description).replace("`", "").split()
        yield "\n".join([*_wrapped(words), f"# {name} = {_toml(_shown(name, info))}\n"])


def _simple(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    tables = [*(name for name, _ in _TABLES), *RULES_BY_NAME] if model is Settings else []
    return ((name, info) for name, info in model.model_fields.items() if name not in tables)


def _shown(name: str, info: FieldInfo) -> Any:
    """Return the default where there is one for all machines, else an example."""
    return (
        info.examples[0]
        if info.examples and (info.default is None or name in MACHINE_SIZED)
        else info.default
    )


def _toml(value: Any) -> str:
    if isinstance(value, timedelta):
        return json.dumps(format_duration(value))
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def _wrapped(words: list[str], width: int = 100) -> Iterator[str]:
    line = "#"
    for word in words:
        if len(line) + 1 + len(word) > width:
            yield line
            line = "#"
        line = f"{line} {word}"
    yield line
