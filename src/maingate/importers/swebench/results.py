"""Results of SWE-bench predictions: from reports of runs (``maingate run --json``) to the result JSON.

The object has the fields of the benchmark's own report, and ``instances`` with each instance's status and
reason.
"""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from maingate.errors import OutsideFaultError, Problem, UsageError
from maingate.importers.json_fields import ImportedObject
from maingate.importers.json_files import Value, open_noting, read_whole, refuse
from maingate.importers.plan_files import refuse_existing
from maingate.importers.swebench.predictions import read_instances, read_predictions
from maingate.reasons import ReasonCode


class Status(StrEnum):
    """Result of a prediction."""

    RESOLVED = "resolved"
    """Landed: all its tests passed."""
    UNRESOLVED = "unresolved"
    """Judged, and refused by tests or policy."""
    EMPTY = "empty"
    """No patch to judge."""
    ERROR = "error"
    """Not judged: it does not apply, a test timed out, or a fault outside."""
    INCOMPLETE = "incomplete"
    """No finished run has judged it."""


_JUDGED: Final[Mapping[str, Status]] = {
    ReasonCode.GATE_FAILED: Status.UNRESOLVED,
    # The tests fail on the base too, as intended without a prediction.
    ReasonCode.BASE_RED: Status.UNRESOLVED,
    ReasonCode.SCOPE_VIOLATION: Status.UNRESOLVED,
    ReasonCode.POLICY_VIOLATION: Status.UNRESOLVED,
    ReasonCode.ALREADY_APPLIED: Status.EMPTY,
    ReasonCode.EMPTY_PATCH: Status.EMPTY,
}
_ENDED: Final = {"completed", "failed", "cancelled", "canceled", "skipped", "rolled_back"}


@dataclass(frozen=True, kw_only=True)
class _Verdict:
    status: Status
    code: str | None = None
    message: str | None = None


def write_results(
    runs: Sequence[Path],
    *,
    out: Path | None,
    predictions: Path | None = None,
    instances: Path | None = None,
    model: str | None = None,
) -> dict[str, Any]:
    """Write the result JSON of predictions that runs have judged.

    Args:
        runs: Outputs of ``maingate run --json``, one file per run; or a folder of ``*.json``. If several
            runs judged an instance, the last one counts.
        out: The file to write; None to write none.
        predictions: The predictions; without them only those in the runs are counted.
        instances: The instances, for their total number.
        model: The model whose predictions count, where a file has several.

    Returns:
        The object that was written.

    Raises:
        UsageError: A file cannot be read, or `out` already exists.
        PlanError: The files have problems; all are listed, and nothing is written.
    """
    problems: list[Problem] = []
    found: dict[str, _Verdict] = {}
    for path in _files(runs):
        found |= _verdicts(path, problems)
    verdicts = {key: verdict for key, verdict in found.items() if predictions is None}
    if predictions is not None:
        file, given = read_predictions(predictions, model=model)
        problems += file.problems
        for one in given:
            nothing = _Verdict(status=Status.EMPTY if one.is_empty else Status.INCOMPLETE)
            verdicts[one.instance_id] = nothing if one.is_empty else found.get(one.instance_id, nothing)
    known = set(verdicts)
    if instances is not None:
        where, listed = read_instances(instances)
        problems += where.problems
        known |= {one.instance_id for one in listed}
    refuse(problems)
    result = _result(verdicts, known)
    if out is not None:
        _write(out, result)
    return result


def _files(runs: Sequence[Path]) -> list[Path]:
    files = [sorted(run.glob("*.json")) if run.is_dir() else [run] for run in runs]
    for run, inside in zip(runs, files, strict=True):
        if not inside:
            raise UsageError(f"{run} has no *.json files; put the reports of `maingate run --json` there")
    return list(itertools.chain(*files))


def _verdicts(path: Path, problems: list[Problem]) -> dict[str, _Verdict]:
    """Read a report: the workstreams' titles are the instances."""
    file = open_noting(path)
    found: dict[str, _Verdict] = {}
    report = read_whole(file) if file.text else None
    record = None if report is None else ImportedObject.of(report, label="the report")
    if record is not None and not (record.has("run_id") and record.has("workstreams")):
        record.note(None, "this is not a report of a run", "`maingate run PLAN --json` prints one")
    elif record is not None:
        reasons = _reasons(record)
        for value in record.items("workstreams"):
            found |= _verdict_of(value, reasons)
    problems += file.problems
    return found


def _verdict_of(value: Value, reasons: Mapping[str, ImportedObject]) -> dict[str, _Verdict]:
    workstream = ImportedObject.of(value, label="a workstream")
    name = "" if workstream is None else workstream.text("name", is_required=True)
    if workstream is None or not name:
        return {}
    state = workstream.text("state", is_required=True)
    instance = workstream.text("title") or name
    if state == "completed":
        return {instance: _Verdict(status=Status.RESOLVED)}
    if state not in _ENDED:
        return {instance: _Verdict(status=Status.INCOMPLETE)}
    reason = reasons.get(name) or _reason(workstream)
    code = "" if reason is None else reason.text("code")
    return {
        instance: _Verdict(
            status=_JUDGED.get(code, Status.ERROR),
            code=code or None,
            message=None if reason is None else reason.text("message") or None,
        )
    }


def _reasons(report: ImportedObject) -> dict[str, ImportedObject]:
    """Return the reason of each workstream's refusal: its patch's, else its task's."""
    found: dict[str, ImportedObject] = {}
    for value in report.items("tasks"):
        task = ImportedObject.of(value, label="a task")
        workstream, slash, name = ("", "", "") if task is None else task.text("name").rpartition("/")
        if task is None or not slash:
            continue
        patch = ImportedObject.of(task.value.at("patch"), label="a patch") if task.has("patch") else None
        reason = (None if patch is None else _reason(patch)) or _reason(task)
        if reason is not None and (name == "prediction" or workstream not in found):
            found[workstream] = reason
    return found


def _reason(record: ImportedObject) -> ImportedObject | None:
    return ImportedObject.of(record.value.at("reason"), label="a reason") if record.has("reason") else None


def _result(verdicts: Mapping[str, _Verdict], known: set[str]) -> dict[str, Any]:
    ids = {
        status: sorted(key for key, verdict in verdicts.items() if verdict.status is status)
        for status in Status
    }
    judged = sorted([*ids[Status.RESOLVED], *ids[Status.UNRESOLVED]])
    missing = sorted({*ids[Status.INCOMPLETE], *(known - set(verdicts))})
    return {
        "total_instances": len(known),
        "submitted_instances": len(verdicts),
        "completed_instances": len(judged),
        "resolved_instances": len(ids[Status.RESOLVED]),
        "unresolved_instances": len(ids[Status.UNRESOLVED]),
        "empty_patch_instances": len(ids[Status.EMPTY]),
        "error_instances": len(ids[Status.ERROR]),
        "completed_ids": judged,
        "incomplete_ids": missing,
        "empty_patch_ids": ids[Status.EMPTY],
        "submitted_ids": sorted(verdicts),
        "resolved_ids": ids[Status.RESOLVED],
        "unresolved_ids": ids[Status.UNRESOLVED],
        "error_ids": ids[Status.ERROR],
        "schema_version": 2,
        "instances": {
            key: {
                "status": str(verdict.status),
                "reason": None
                if verdict.code is None
                else {"code": verdict.code, "message": verdict.message},
            }
            for key, verdict in sorted(verdicts.items())
        },
    }


def _write(out: Path, result: Mapping[str, Any]) -> None:
    refuse_existing(out)
    text = json.dumps(result, indent=2, ensure_ascii=False) + "\n"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutsideFaultError(f"{error.filename or out} could not be written: {error.strerror}") from error
