"""SWE-bench predictions with their instances: which can be judged, and which cannot."""

from collections.abc import Sequence
from typing import Final

from maingate.errors import Problem, UsageError
from maingate.importers.diffs import ReadDiff
from maingate.importers.json_files import SourceFile, refuse
from maingate.importers.swebench.options import SwebenchOptions
from maingate.importers.swebench.predictions import Instance, Prediction, read_instances
from maingate.settings.problems import did_you_mean

_COMPARED: Final = 500
"""Maximum instances among which a similar id is suggested; the search is slow."""


def paired(
    file: SourceFile, predictions: Sequence[Prediction], options: SwebenchOptions
) -> tuple[list[tuple[Prediction, Instance]], int]:
    """Return each prediction with its instance, and the number of other repositories' predictions."""
    assert options.instances is not None  # noqa: S101 - asked for with instances only
    where, instances = read_instances(options.instances)
    known = {one.instance_id: one for one in instances}
    if not known and not where.problems:
        where.note(None, "has no instances")
    problems: list[Problem] = [*file.problems, *where.problems]
    pairs = []
    others = 0
    for prediction in predictions if known else ():
        instance = known.get(prediction.instance_id)
        if instance is None:
            message = f"unknown instance {prediction.instance_id!r} in {options.instances}"
            hint = did_you_mean(prediction.instance_id, known) if len(known) <= _COMPARED else ""
            problems.append(Problem(file=str(file.path), line=prediction.line, message=message, hint=hint))
        elif options.only is not None and instance.repo != options.only:
            others += 1
        else:
            pairs.append((prediction, instance))
    repositories = dict.fromkeys(instance.repo for _, instance in pairs if instance.repo)
    if options.repo is not None and len(repositories) > 1:
        message, hint = (
            "has instances of several repositories",
            f"choose one with --only: {', '.join(repositories)}",
        )
        problems.append(Problem(file=str(where.path), line=None, message=message, hint=hint))
    refuse(problems)
    if options.only is not None and not pairs:
        raise UsageError(f"no prediction is for {options.only}")
    return pairs, others


def with_readable_tests(
    pairs: Sequence[tuple[Prediction, Instance]],
) -> tuple[list[tuple[Prediction, Instance]], list[str]]:
    """Return the predictions to judge, and those whose test patch intake refuses, with its fault.

    The tests of a patch that cannot be read are unknown, so no policy could keep a prediction off them.
    """
    readable: list[tuple[Prediction, Instance]] = []
    refused: list[str] = []
    for prediction, instance in pairs:
        tests = instance.test_patch
        fault = ReadDiff(tests.encode()).fault if tests.strip() and not prediction.is_empty else None
        if fault is None:
            readable.append((prediction, instance))
        else:
            refused.append(f"{instance.instance_id} (its test patch cannot be read: {fault})")
    return readable, refused
