"""View of the proof of a commit: the position that brought it, and the executions of gates."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from maingate.cli.tables import print_table, table
from maingate.cli.text import duration, local_time, safe
from maingate.wording import listed

if TYPE_CHECKING:
    from rich.console import Console

_MARKS: Final = {"PASSED": "✔", "FAILED": "✘"}


def print_proof(out: "Console", told: Mapping[str, Any]) -> None:
    """Print a proof in its public JSON form."""
    for line in _heading(told):
        out.print(line, soft_wrap=True)
    for title, executions in (("", told["gates"]), ("on the commit itself", told["own_gates"])):
        if executions:
            out.print()
            if title:
                out.print(f"  {title}:", style="bold")
            print_table(out, _grid(executions))


def _heading(told: Mapping[str, Any]) -> Iterator[str]:
    commit = told["commit"][:10]
    if not told["landed"]:
        yield f"{commit} was not landed by Maingate: no landing on record has brought it."
        return
    position = told["position"]
    branch = safe(position["ref"].removeprefix("refs/heads/"))
    names = listed([safe(item["workstream"]["name"]) for item in told["items"]])
    how = "rolled back" if position["kind"] == "rollback" else "landed"
    yield f"{commit}: {_conclusion(told)}"
    patch = f" with patch {safe(told['patch']['task'])}" if told["patch"] else ""
    yield f"  {names}, {how} on {branch} at {local_time(position['at'])}{patch}"
    if position["new"] != told["commit"]:
        is_tested = told["gates"] and not told["missing"] and not told["vouched_by"]
        tested = ", which was tested as it is" if is_tested else ""
        yield f"  brought by the position {position['new'][:10]} of {branch}{tested}"
    if told["vouched_by"]:
        later = told["vouched_by"]["new"]
        where = f"the position {later[:10]}" if later else f"the tree {told['vouched_by']['tree'][:10]}"
        yield f"  vouched for by {where}, which came after it"
    if told["missing"]:
        yield f"  not passed there: {listed([safe(name) for name in told['missing']])}"


def _conclusion(told: Mapping[str, Any]) -> str:
    if told["proof"] == "commit":
        return "proven (commit): all gates passed on its own tree"
    if told["proof"] == "ref":
        return "proven (ref): all gates passed on the position that brought it"
    if told["proof"] == "later":
        return "proven (later): all gates passed on a later position, which has it"
    return "not proven: a gate has not passed" if told["missing"] else "not proven: it landed without gates"


def _grid(executions: Sequence[Mapping[str, Any]]) -> Any:
    grid = table("", "gate", "took", "execution", "log", wide="log")
    for each in executions:
        took = "" if each["seconds"] is None else duration(each["seconds"])
        known = " (reused)" if each["reused"] else ""
        flaky = " (flaky)" if each["is_flaky"] else ""
        grid.add_row(
            _MARKS.get(each["state"], "·"),
            safe(each["name"]),
            f"{took}{flaky}",
            f"{each['id']}{known}",
            safe(each["log"] or "-"),
        )
    return grid
