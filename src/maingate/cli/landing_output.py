"""The output of `maingate land`: the work, its outcome, and the exit code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from maingate.cli.exit_codes import ExitCode, code_of_run
from maingate.cli.output import console, print_json
from maingate.cli.standard_streams import reader_may_leave

if TYPE_CHECKING:
    from maingate.cli.run_follower import Outcome


@dataclass(frozen=True, kw_only=True)
class LandingOutput:
    """Prints the work that lands, and its outcome.

    Args:
        ref: The branch, by its full name.
        items: The work in its JSON form.
        as_json: Whether to print JSON.
        page: The address of the run's page on a server, if one was named.
    """

    ref: str
    items: Sequence[Mapping[str, Any]]
    as_json: bool
    page: str | None = None

    def begin(self) -> None:
        """Print the work and its target, and the rest that does not land."""
        from maingate.cli.views.landing import print_work

        print_work(console(stderr=self.as_json), self.ref, self.items)

    def end_preview(self, shown: Mapping[str, Any]) -> NoReturn:
        """Print the preview of a run with its conflicts, and exit: 1 if some of it could not land."""
        from maingate.cli.views.preview import print_preview

        with reader_may_leave():
            print_preview({**shown, "items": list(self.items)}, as_json=self.as_json)
        raise typer.Exit(ExitCode.DONE if shown["trial"]["ok"] else ExitCode.REFUSED)

    def outcome(self, outcome: "Outcome") -> NoReturn:
        """Print the result of the run, and exit."""
        report = outcome.report
        if outcome.interruption is not None:
            self._print(report)
            raise outcome.interruption
        self.end(report, code_of_run(report["state"], is_behind=bool(report["target"]["behind"])))

    def end(self, report: Mapping[str, Any], code: ExitCode) -> NoReturn:
        """Print a result, and exit with its exit code."""
        self._print(report)
        raise typer.Exit(code)

    def _print(self, report: Mapping[str, Any]) -> None:
        from maingate.cli.views.landing import print_landing

        whole = {**report, "items": _with_states(self.items, report)}
        with reader_may_leave():
            if self.as_json:
                print_json(whole)
            else:
                print_landing(console(), whole, page=self.page)


def _with_states(items: Sequence[Mapping[str, Any]], report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the work with the states that a report has, and a note where the target had it by then."""
    streams = {stream["name"]: stream for stream in report["workstreams"]}
    return [{**item, **_end_of(streams.get(item["workstream"]))} for item in items]


def _end_of(stream: Mapping[str, Any] | None) -> dict[str, Any]:
    from maingate.cli.views.headline import is_there_already

    if stream is None:
        return {}
    return {"state": stream["state"]} | ({"note": "already_applied"} if is_there_already(stream) else {})
