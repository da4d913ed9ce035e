"""Plans of SWE-bench predictions.

With instances, each is a plan of its own, because each begins at its own commit and no prediction may see
another. Its one workstream is the instance: first the test patch without gates, then the prediction with the
tests as gates. So a failure is the prediction's fault and not the tests', and the policy forbids the
prediction to touch the paths of the test patch. The plan lands on a branch that begins at the instance's base
commit.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from maingate.errors import UsageError
from maingate.importers.diffs import ReadDiff
from maingate.importers.json_files import SourceFile
from maingate.importers.plan_files import checked
from maingate.importers.plan_names import NameGiver
from maingate.importers.swebench.files import Branches, PlanFolder, PlannedFile
from maingate.importers.swebench.gates import TO_MEND, gates_of
from maingate.importers.swebench.options import SwebenchOptions
from maingate.importers.swebench.pairs import paired, with_readable_tests
from maingate.importers.swebench.predictions import Instance, Prediction, read_predictions
from maingate.patches.policy.unsafe_paths import glob_text
from maingate.plan.writers.writer import write_document

_NAMED: Final = 3
"""Maximum predictions that an error names, each with its reason."""


@dataclass(frozen=True, kw_only=True)
class ImportedPlans:
    """Result of an import.

    Args:
        path: The plan, or the folder of plans.
        plans: The plan files.
        skipped: Entries left out, with reasons.
        notes: Notes for the user.
    """

    path: Path
    plans: tuple[Path, ...]
    skipped: tuple[str, ...]
    notes: tuple[str, ...]


def import_swebench(
    source: Path, *, out: Path | None = None, options: SwebenchOptions | None = None
) -> ImportedPlans:
    """Write the plans that judge predictions.

    Args:
        source: The predictions: JSON Lines, a JSON list, or a mapping by instance.
        out: The plan file to write (``plan.yaml``); with instances a folder (``swebench``).
        options: The options.

    Raises:
        UsageError: A file cannot be read, the options are invalid, or there is nothing to judge.
        PlanError: The files have problems; all are listed, and nothing is written.
    """
    options = options or SwebenchOptions()
    options.check()
    file, predictions = read_predictions(source, model=options.model)
    skipped = [f"{one.instance_id} (the prediction is empty)" for one in predictions if one.is_empty]
    if options.instances is None:
        file.refuse_problems()
        judged = [one for one in predictions if not one.is_empty]
        path = out or Path("plan.yaml")
        plans = [_alone(judged, path, file, options)] if judged else []
        notes, folder, others = _notes_alone(options), path.parent, 0
    else:
        pairs, others = paired(file, predictions, options)
        path = folder = out or Path("swebench")
        judged = [prediction for prediction, _ in pairs if not prediction.is_empty]
        pairs, unreadable = with_readable_tests(pairs)
        skipped += unreadable
        plans = list(_per_instance(pairs, path, source, options))
        notes = []
    if not judged:
        raise UsageError(f"all predictions in {source} are empty; there is nothing to judge")
    if not plans:
        raise UsageError(f"no prediction in {source} can be judged: {'; '.join(skipped[:_NAMED])}")
    if others:
        notes.append(f"predictions of other repositories, ignored: {others}")
    written = PlanFolder(plans, path=path, is_folder=options.instances is not None)
    written.refuse_existing()
    branches = Branches(plans, options.repo if options.makes_branches else None)
    branches.refuse_faulty()
    written.write()
    branches.make()
    return ImportedPlans(
        path=path,
        plans=tuple(folder / f"{plan.name}.yaml" for plan in plans) if options.instances else (path,),
        skipped=tuple(skipped),
        notes=(*notes, *branches.notes()),
    )


def _notes_alone(options: SwebenchOptions) -> list[str]:
    notes = ["without --instances bases and tests are unknown: all land on one branch, one by one"]
    if not options.gates:
        notes.append("the plan has no gates, so the predictions land untested: add --gate NAME=COMMAND")
    return notes


def _head(name: str, target: str | None, options: SwebenchOptions, folder: Path) -> dict[str, Any]:
    repo = None
    if options.repo is not None:
        repo = os.path.relpath(options.repo.resolve(), folder.resolve())
    head = {"maingate": 1, "name": name, "repo": repo, "target": target}
    return {key: value for key, value in head.items() if value}


def _alone(
    predictions: Sequence[Prediction], path: Path, file: SourceFile, options: SwebenchOptions
) -> PlannedFile:
    giver = NameGiver()
    patches: dict[str, bytes] = {}
    workstreams: dict[str, Any] = {}
    policy: dict[str, bool] = {}
    for number, one in enumerate(predictions, start=1):
        name = giver.name(one.instance_id, otherwise=f"instance-{number}")
        patches[f"{path.stem}.patches/{name}.patch"] = one.patch.encode()
        policy |= ReadDiff(one.patch.encode()).permissions
        workstreams[name] = {
            "title": one.instance_id,
            "critical": False,
            "tasks": {"prediction": _task(one, f"{path.stem}.patches/{name}.patch")},
        }
    data = {
        **_head(file.path.stem, options.target, options, path.parent),
        "policy": policy,
        "gates": {name: {"run": command} for name, command in options.gates.items()},
        "workstreams": workstreams,
    }
    return PlannedFile(
        name=path.stem,
        text=write_document(
            checked(_without_empty(data)), file=path.name, comments=[f"Imported from {file.path}."]
        ),
        patches=patches,
    )


def _per_instance(
    pairs: Sequence[tuple[Prediction, Instance]], folder: Path, source: Path, options: SwebenchOptions
) -> Iterator[PlannedFile]:
    giver = NameGiver()
    for number, (prediction, instance) in enumerate(pairs, start=1):
        if not prediction.is_empty:
            name = giver.name(instance.instance_id, otherwise=f"instance-{number}")
            yield _of_instance(name, prediction, instance, folder=folder, source=source, options=options)


def _of_instance(
    name: str,
    prediction: Prediction,
    instance: Instance,
    *,
    folder: Path,
    source: Path,
    options: SwebenchOptions,
) -> PlannedFile:
    branch = f"swebench/{name}"
    tests, own = f"{name}.patches/tests.patch", f"{name}.patches/prediction.patch"
    patches = {own: prediction.patch.encode()}
    tasks: dict[str, Any] = {}
    task = _task(prediction, own)
    if instance.test_patch.strip():
        patches[tests] = instance.test_patch.encode()
        tasks["tests"] = {"title": f"{instance.instance_id}: tests", "patch": tests, "gates": []}
        task["needs"] = ["tests"]
        forbidden = [_glob(path) for path in ReadDiff(patches[tests]).paths]
        task["policy"] = {"forbid": forbidden} if forbidden else {}
    data = {
        **_head(instance.instance_id, branch, options, folder),
        "policy": {key: True for patch in patches.values() for key in ReadDiff(patch).permissions},
        "gates": {
            **dict(gates_of(TO_MEND, instance.fail_to_pass, options.test_command)),
            **dict(gates_of("pass-to-pass", instance.pass_to_pass, options.test_command)),
            **{gate: {"run": command} for gate, command in options.gates.items()},
        },
        "workstreams": {
            name: {
                "title": instance.instance_id,
                "tasks": {**tasks, "prediction": _without_empty(task)},
            }
        },
    }
    where = f" of {instance.repo}" if instance.repo else ""
    comments = [
        f"Imported from {source} and {options.instances}.",
        f"Lands on a branch{where} that begins at the base of the instance:",
        f"    git branch {branch} {instance.base_commit}",
    ]
    text = write_document(checked(_without_empty(data)), file=f"{name}.yaml", comments=comments)
    return PlannedFile(name=name, text=text, patches=patches, branch=branch, base=instance.base_commit)


def _task(prediction: Prediction, patch: str) -> dict[str, Any]:
    by = f" by {' '.join(prediction.model.split())}" if prediction.model.strip() else ""
    return {"title": f"{prediction.instance_id}: prediction{by}", "patch": patch}


def _glob(path: bytes) -> str:
    """Return the glob that matches one path; ``?`` stands for a letter that no glob of a plan can hold."""
    escaped = "".join(_escaped(letter) for letter in glob_text(path))
    trailing = len(escaped) - len(escaped.rstrip(" "))
    return "/" + escaped.rstrip(" ") + "\\ " * trailing


def _escaped(letter: str) -> str:
    if letter == "\\" or not letter.isprintable():
        return "?"
    return f"\\{letter}" if letter in "*?[]!#" else letter


def _without_empty(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if value not in ({}, None, "")}
