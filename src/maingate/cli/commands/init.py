"""``maingate init``: a commented ``maingate.toml`` and an example plan that can be run as it is."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from maingate.errors import OutsideFaultError, UsageError

PLAN_NAME: Final = "maingate-plan.yaml"

PLAN: Final = """\
# An example plan: it lands one small file. Check it with `maingate plan check maingate-plan.yaml`,
# run it with `maingate run maingate-plan.yaml`. The whole format: `maingate plan schema`.
maingate: 1
name: say hello
# target: main               # the branch to land on; default: the one checked out
# landing: merge             # or squash, or rebase
policy:                      # may only tighten what maingate.toml sets
  max_files: 20
gates:                       # commands that must pass before anything lands
  greets: {run: "grep -q Hello maingate-hello.txt", timeout: 1m}
  # unit: {type: UNIT, run: "pytest -q", needs: [greets], timeout: 10m}
workstreams:                 # each lands as a whole or not at all
  hello:
    title: Say hello
    tasks:                   # each is one patch, applied in this order
      greet:
        patch: maingate-plan.patches/0001-hello.patch
        scope: ["/maingate-hello.txt"]
        message: "Say hello"
"""

PATCH: Final = """\
diff --git a/maingate-hello.txt b/maingate-hello.txt
new file mode 100644
index 0000000000000000000000000000000000000000..10ddd4e089a4af95d7eaf7b1cfe9134ca5506b7a
--- /dev/null
+++ b/maingate-hello.txt
@@ -0,0 +1 @@
+Hello from Maingate.
"""


def init(
    agents: Annotated[
        bool,
        typer.Option(
            "--agents",
            help="Only tell agents how to land their work, in AGENTS.md and, if it exists, CLAUDE.md.",
        ),
    ] = False,
) -> None:
    """Write a commented `maingate.toml` and an example plan into the repository.

    Existing files are kept.
    """
    from maingate.git.repository import Repository
    from maingate.plan.repository_search import enclosing_root

    root = enclosing_root([Path.cwd()])
    if root is None or not (root / ".git").exists():
        raise UsageError(
            f"{Path.cwd()} is not in the work tree of a git repository; run `git init`, or `cd` into one"
        )
    Repository.open(root).close()  # what no command could work with gets no files
    if agents:
        _tell_agents(root)
        return
    files = _files()
    there = [name for name in files if (root / name).exists() or (root / name).is_symlink()]
    if len(there) == len(files):
        raise UsageError(
            f"nothing to write: {root} already has {', '.join(there)}, and files are never overwritten"
        )
    for name in there:
        print(f"kept {root / name}")
    for name, text in files.items():
        if name not in there:
            _write(root / name, text)
            print(f"wrote {root / name}")
    print(f"next: maingate plan check {os.path.relpath(root / PLAN_NAME)}")


def _tell_agents(root: Path) -> None:
    from maingate.cli.agent_instructions import write_instructions
    from maingate.settings import load_settings

    has_gates = bool(load_settings(root, os.environ).gates)
    written = list(write_instructions(root))
    for file in written:
        print(f"wrote {file}")
    if not written:
        print("nothing to write: the instructions are there and up to date")
    if not has_gates:
        print("next: `maingate land` needs a gate: write [gates.NAME] into maingate.toml, and commit it, too")


def _files() -> Mapping[str, str]:
    from maingate.settings.files import FILE_NAME
    from maingate.settings.reference import commented_toml

    return {
        FILE_NAME: commented_toml(),
        PLAN_NAME: PLAN,
        "maingate-plan.patches/0001-hello.patch": PATCH,
    }


def _write(path: Path, text: str) -> None:
    """Write a new file; an existing file is an error."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError(f"{path} already exists and is not overwritten") from error
    except OSError as error:
        raise OutsideFaultError(f"{path} could not be written: {error.strerror}") from error
