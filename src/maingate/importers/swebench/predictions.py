"""Import SWE-bench predictions: JSON Lines, a JSON list, or a mapping by instance; with or without instances.

Without the instances there is one plan: each prediction is a workstream, judged by the gates given. With them
there is one plan per instance, since each begins at a commit of its own: see :mod:`swebench_plans`.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from maingate.importers.json_fields import ImportedObject
from maingate.importers.json_files import SourceFile, Value, open_noting, read_either
from maingate.settings.problems import did_you_mean

_MODEL: Final = "model_name_or_path"
_COMMIT: Final = re.compile(r"[0-9a-f]{7,64}", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """A model's prediction for an instance.

    Args:
        instance_id: The instance.
        line: Its line in the file.
        patch: The diff; empty when the model made none.
        model: The model; may be empty.
    """

    instance_id: str
    line: int
    patch: str
    model: str = ""

    @property
    def is_empty(self) -> bool:
        """Return whether there is no patch to judge."""
        return not self.patch.strip()


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A task of the benchmark.

    Args:
        instance_id: Its id.
        line: Its line in the file.
        repo: ``owner/name``; may be empty.
        base_commit: The commit that predictions apply to.
        test_patch: The diff that adds the tests; may be empty.
        fail_to_pass: Tests that fail before and must pass after.
        pass_to_pass: Tests that pass before and after.
    """

    instance_id: str
    line: int
    repo: str
    base_commit: str
    test_patch: str
    fail_to_pass: Sequence[str]
    pass_to_pass: Sequence[str]


def read_predictions(source: Path, *, model: str | None = None) -> tuple[SourceFile, list[Prediction]]:
    """Read the predictions of one model; problems are noted in the file.

    Args:
        source: JSON Lines, a JSON list of predictions, or a mapping of them by instance.
        model: The model whose predictions are imported, where a file has several.

    Raises:
        UsageError: The file cannot be read.
    """
    file = open_noting(source)
    records = [
        (record, instance_id)
        for number, (value, instance_id) in enumerate(_predictions_in(file), start=1)
        if (record := ImportedObject.of(value, label=f"prediction {number}")) is not None
    ]
    # If one prediction names its model, one without a model is ambiguous.
    names_model = model is not None or any(_says_model(record) for record, _ in records)
    found = [_prediction(*one, names_model=names_model) for one in records]
    chosen = [one for one in _of_model(found, model, file) if one.instance_id]
    for name in dict.fromkeys(one.model for one in chosen):
        own = [(one.instance_id, one.line) for one in chosen if one.model == name]
        _refuse_twice(own, file, "prediction of")
    if not chosen and not file.problems:
        file.note(None, "has no predictions")
    return file, chosen


def read_instances(source: Path, *, repository: str | None = None) -> tuple[SourceFile, list[Instance]]:
    """Read instances; problems are noted in the file.

    Args:
        source: JSON Lines or a JSON list.
        repository: ``owner/name``; instances of other repositories are skipped.

    Raises:
        UsageError: The file cannot be read.
    """
    file = open_noting(source)
    found: list[Instance] = []
    for number, value in enumerate(_listed(file), start=1):
        record = ImportedObject.of(value, label=f"instance {number}")
        if record is None:
            continue
        identifier = record.identifier("instance_id")
        record = ImportedObject(value, label=identifier or record.label)
        repo = record.text("repo").strip()
        if repository is None or repo == repository:
            found.append(_instance(record, identifier, repo))
    found = [one for one in found if one.instance_id]
    _refuse_twice([(one.instance_id, one.line) for one in found], file, "instance")
    return file, found


def _predictions_in(file: SourceFile) -> Iterator[tuple[Value, str]]:
    """Yield each prediction, with its instance id if the file is a mapping by instance."""
    for value in read_either(file):
        if isinstance(value.data, list):
            yield from ((item, "") for item in value.each())
        elif isinstance(value.data, dict) and "instance_id" not in value.data and _is_mapping(value):
            yield from ((value.at(key), key) for key in value.data)
        else:
            yield value, ""


def _is_mapping(value: Value) -> bool:
    return not value.data or any(isinstance(inner, dict) for inner in value.data.values())


def _listed(file: SourceFile) -> Iterator[Value]:
    for value in read_either(file):
        if isinstance(value.data, list):
            yield from value.each()
        else:
            yield value


def _prediction(record: ImportedObject, key: str, *, names_model: bool) -> Prediction:
    """Read a prediction; an unreadable instance id becomes empty."""
    identifier = _instance_of(record, key)
    labelled = ImportedObject(
        record.value, label=f"prediction of {identifier}" if identifier else record.label
    )
    if "model_patch" not in record.value.data:
        labelled.note(None, "'model_patch' is missing", "add it; null means that there is none")
    return Prediction(
        instance_id=identifier,
        line=record.line,
        patch=labelled.text("model_patch"),
        model=labelled.text(_MODEL, is_required=names_model).strip(),
    )


def _instance_of(record: ImportedObject, key: str) -> str:
    if not key or record.has("instance_id"):
        identifier = record.identifier("instance_id")
        if key and identifier and identifier != key:
            record.note("instance_id", f"'instance_id' is {identifier!r}, but its key is {key!r}")
        return identifier
    if not key.strip() or not key.isprintable():
        record.note(None, f"{key!r} is not an instance id")
        return ""
    return key


def _says_model(record: ImportedObject) -> bool:
    said = record.value.data.get(_MODEL)
    return isinstance(said, str) and bool(said.strip())


def _of_model(found: Sequence[Prediction], model: str | None, file: SourceFile) -> list[Prediction]:
    """Return the predictions of one model; if the choice is ambiguous, note it and return all."""
    models = list(dict.fromkeys(one.model for one in found if one.model))
    if model in models:
        return [one for one in found if one.model == model]
    if model is not None and models:
        file.note(None, f"has no predictions of {model!r}", did_you_mean(model, models))
    elif len(models) > 1:
        hint = f"choose one with --model: {', '.join(map(repr, models))}"
        file.note(None, "has predictions of several models", hint)
    return list(found)


def _instance(record: ImportedObject, identifier: str, repo: str) -> Instance:
    commit = record.text("base_commit", is_required=True).strip()
    if commit and not _COMMIT.fullmatch(commit):
        record.note("base_commit", f"{commit[:80]!r} is not a commit id")
    fail, keep = _tests(record, "FAIL_TO_PASS"), _tests(record, "PASS_TO_PASS")
    if not fail and not keep:
        record.note(None, "has no tests", "name some in FAIL_TO_PASS or PASS_TO_PASS")
    return Instance(
        instance_id=identifier,
        line=record.line,
        repo=repo,
        base_commit=commit.lower(),
        test_patch=record.text("test_patch"),
        fail_to_pass=fail,
        pass_to_pass=keep,
    )


def _tests(record: ImportedObject, key: str) -> list[str]:
    """Return test ids: a list, or a JSON list in text."""
    if isinstance(record.value.data.get(key), str):
        text = record.text(key)
        try:
            tests = json.loads(text) if text.strip() else []
        except (ValueError, RecursionError):
            tests = None
        if not isinstance(tests, list) or not all(isinstance(test, str) for test in tests):
            record.note(key, f"{key!r} is text, but not a JSON list of test ids")
            return []
    else:
        tests = record.texts(key)
    for test in tests:
        if not test.strip() or test.startswith("-") or not _is_plain(test):
            record.note(key, f"{key!r} has {test[:60]!r}, which is not a test id")
    return list(dict.fromkeys(tests))


def _is_plain(test: str) -> bool:
    return "\0" not in test and test.isprintable()


def _refuse_twice(found: Sequence[tuple[str, int]], file: SourceFile, what: str) -> None:
    first: dict[str, int] = {}
    for identifier, line in found:
        if identifier in first:
            message, hint = f"the {what} {identifier!r} is there twice", f"first on line {first[identifier]}"
            file.note(line, message, hint)
        first.setdefault(identifier, line)
