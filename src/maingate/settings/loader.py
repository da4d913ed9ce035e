"""Load the settings: two ``maingate.toml``, then ``MAINGATE_*`` over them; all mistakes are reported at once.

A commit can change the file of the tree. So the settings that place the record and the caches, pass on parts
of the environment, or read a file are never taken from there (``NEVER_FROM_A_TREE``).
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from maingate.errors import Problem, SettingsError
from maingate.settings.environment_settings import LISTS_OF_POLICY, from_environment, variable_of
from maingate.settings.files import SettingsFiles
from maingate.settings.model import NEVER_FROM_A_TREE, OF_THE_TARGET, RULES, RULES_BY_NAME, Settings
from maingate.settings.policy_layer import PolicyLayer, loosenings
from maingate.settings.problems import Location, findings
from maingate.settings.rules_file import RulesFile
from maingate.settings.toml_file import lines_of, parse, problems_of, read

Values = Mapping[str, Any]


def load_settings(
    root: Path | None,
    environ: Mapping[str, str],
    *,
    files: SettingsFiles | None = None,
    tree: Values | None = None,
) -> Settings:
    """Load the settings of a repository: the tree's file, its own file over that, the environment over both.

    Args:
        root: The repository's root; None reads the environment only.
        environ: The environment; variables of other programs and empty ones are ignored.
        files: The files to read; by default those of the root.
        tree: Values that replace those of the tree's file and the target's.

    Raises:
        SettingsError: Lists every mistake in the files and in the environment.
    """
    files = files or SettingsFiles.around(root)
    problems: list[Problem] = []
    from_tree = tree if tree is not None else _of_tree(files, problems)
    from_own = {} if files.own is None else _of_text(str(files.own), read(files.own), problems)
    from_variables, faults = from_environment(environ)
    problems += faults
    if files.own is not None:
        problems += _stated_twice(from_tree.get("policy"), from_own.get("policy"), str(files.own))
        problems += _rules_stated_twice(from_tree, from_own, str(files.own))
        problems += _loosened(from_tree.get("policy"), from_own.get("policy"), lambda _name: str(files.own))
    from_files = _laid_over(from_tree, from_own)
    problems += _loosened(
        from_files.get("policy"), from_variables.get("policy"), lambda name: variable_of(("policy", name))
    )
    if problems:
        raise SettingsError(problems)
    return _validated(_laid_over(from_files, from_variables))


def tree_values(files: SettingsFiles) -> Values:
    """Return the values of the tree's file and the target's, to be stored and passed to `load_settings`.

    Raises:
        SettingsError: Lists every mistake in it.
    """
    problems: list[Problem] = []
    values = _of_tree(files, problems)
    if problems:
        raise SettingsError(problems)
    stated = Settings.model_validate(values).model_dump(mode="json", exclude_unset=True, exclude={"policy"})
    if "policy" in values:  # without the defaults of the settings, which are not stated
        policy = PolicyLayer.model_validate(values["policy"])
        stated["policy"] = policy.model_dump(mode="json", exclude_unset=True)
    return stated


def _validated(values: Values) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(
            [
                Problem(
                    file=variable_of(found.location),
                    line=None,
                    message=found.message,
                    hint=found.hint.replace("remove the key", "unset the variable"),
                )
                for found in findings(error, Settings)
            ]
        ) from error


def rules_of(files: SettingsFiles) -> list[RulesFile]:
    """Return the rules of the target's file, or else of the tree's, and those of the repository's own file.

    Raises:
        SettingsError: A file cannot be read, or is not TOML.
    """
    stated = []
    if files.target is not None:
        stated.append(_rules(files.target.name, files.target.text, is_of_a_tree=True))
    elif files.tree is not None:
        stated.append(_rules(str(files.tree), read(files.tree), is_of_a_tree=True))
    if files.own is not None:
        stated.append(_rules(str(files.own), read(files.own), is_of_a_tree=False))
    return [rules for rules in stated if rules.values]


def _rules(name: str, text: str, *, is_of_a_tree: bool) -> RulesFile:
    values = {key: value for key, value in parse(name, text).items() if key in RULES}
    lines = dict(lines_of(text)) if values else {}
    return RulesFile(name=name, values=values, lines=lines, is_of_a_tree=is_of_a_tree)


def _of_tree(files: SettingsFiles, problems: list[Problem]) -> Values:
    """Read what commits can change: the target's file, and what it does not decide from the work tree's."""
    values = _of_work_tree(files, problems)
    if files.target is None:
        return values
    decided = _of_commit(files.target.name, files.target.text, files, problems)
    return {name: value for name, value in values.items() if name not in OF_THE_TARGET} | {
        name: value for name, value in decided.items() if name in OF_THE_TARGET
    }


def _of_work_tree(files: SettingsFiles, problems: list[Problem]) -> Values:
    file = files.tree
    if file is None:
        return {}
    if file.is_symlink():
        hint = "write a plain file: a change of the link's target would change the settings"
        problems.append(Problem(file=str(file), line=None, message="is a symbolic link", hint=hint))
        return {}
    return _of_commit(str(file), read(file), files, problems)


def _of_commit(name: str, text: str, files: SettingsFiles, problems: list[Problem]) -> Values:
    """Parse a file that a commit can change, and refuse settings that no commit may decide."""
    found: list[Problem] = []
    values = _of_text(name, text, found)
    lines = dict(lines_of(text)) if values else {}
    for key in NEVER_FROM_A_TREE:
        if key in values:
            message = f"{key!r} is not taken from a file that a commit can change"
            elsewhere = "" if files.own is None else f"write it into {files.own}, or "
            hint = f"{elsewhere}set {variable_of((key,))}"
            found.append(Problem(file=name, line=lines.get((key,)), message=message, hint=hint))
    problems += sorted(found, key=_line)
    return values


def _of_text(name: str, text: str, problems: list[Problem]) -> dict[str, Any]:
    values = parse(name, text)
    problems += sorted(problems_of(name, text, values), key=_line)
    return values


def _line(problem: Problem) -> int:
    return problem.line or 0


def _laid_over(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    tables = {
        name: {**under.get(name, {}), **value} for name, value in over.items() if isinstance(value, Mapping)
    }
    return {**under, **over, **tables}


def _loosened(outer: object, inner: object, file_of: Callable[[str], str]) -> list[Problem]:
    """Return a problem for each value that would loosen the policy of an outer file."""
    layers = _layers(outer, inner)
    return [
        Problem(
            file=file_of(name), line=None, message=f"{name} is looser than maingate.toml allows", hint=hint
        )
        for name, hint in (loosenings([layers[0]], layers[1]) if layers else ())
    ]


def _stated_twice(tree: object, own: object, file: str) -> list[Problem]:
    """Return a problem for each list of the policy that both files have."""
    layers = _layers(tree, own)
    both = layers[0].stated.keys() & layers[1].stated.keys() if layers else set()
    hint = "keep it in one of the two"
    return [
        Problem(file=file, line=None, message=f"policy.{name} is in the tree's maingate.toml too", hint=hint)
        for name in LISTS_OF_POLICY
        if name in both
    ]


def _rules_stated_twice(tree: Values, own: Values, file: str) -> list[Problem]:
    """Return a problem for each rule that both files have; of gates and tools, each by its name."""
    both: list[Location] = [
        (name,) for name in RULES if name not in RULES_BY_NAME and name in tree and name in own
    ]
    for table in RULES_BY_NAME:
        names = [each.get(table) for each in (tree, own)]
        if all(isinstance(each, Mapping) for each in names):
            both += [(table, name) for name in own[table] if name in tree[table]]
    hint = "keep it in one of the two, or give it another name"
    return [
        Problem(
            file=file,
            line=None,
            message=f"{'.'.join(map(str, place))} is in the tree's maingate.toml too",
            hint=hint,
        )
        for place in both
    ]


def _layers(outer: object, inner: object) -> tuple[PolicyLayer, PolicyLayer] | None:
    """Return two policies; None when either is faulty, which is reported with its place already."""
    try:
        return PolicyLayer.model_validate(outer or {}), PolicyLayer.model_validate(inner or {})
    except ValidationError:
        return None
