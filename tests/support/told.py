"""The story of the bakery as each witness tells it, reduced to one table of outcomes and one of incidents."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from maingate.client import Client
from support.bakery import DONE, LANDED, ROLLED_BACK, Bakery
from support.crashing import PATIENCE
from support.factories import GitRepo
from support.tellers import command, get

Json = Mapping[str, Any]
Table = dict[str, str]
"""The outcome of each task."""

Counts = Mapping[str, int]


def outcome_of(state: str, reason: Any, patch: str | None, refusal: Any) -> str:
    """Return the outcome of a task by its state and that of its newest patch, with their reasons."""
    match patch:
        case "committed":
            return LANDED
        case "rolled_back":
            return ROLLED_BACK
        case "quarantined":
            return f"refused: {refusal['code']}"
    return DONE if state == "completed" else f"{state}: {reason['code']}"


def counted(table: Table) -> Counts:
    """Return how many tasks had each outcome; a failure without its code."""
    return Counter("failed" if outcome.startswith("failed") else outcome for outcome in table.values())


# -- the branch ----------------------------------------------------------------------------------------------


def by_git(repo: GitRepo) -> Table:
    """Return what landed and what was taken back, by the commits that are on the branch."""
    log = repo.git(
        "log",
        "--reverse",
        "--format=%s%x00%(trailers:key=Maingate-Patch,valueonly,separator=)"
        "%x00%(trailers:key=Maingate-Reverts,valueonly,separator=)%x01",
        "main",
    )
    table, subjects = Table(), dict[str, str]()
    for entry in filter(None, (entry.strip("\n") for entry in log.split("\x01"))):
        subject, patch, reverted = entry.split("\0")
        if reverted:
            table[subjects[reverted]] = ROLLED_BACK
        elif patch:
            table[subject], subjects[patch] = LANDED, subject
    return table


def menu_of(repo: GitRepo) -> list[str]:
    """Return the items on the branch; each has its price."""
    menu = repo.git("ls-tree", "--name-only", "main:menu").splitlines()
    assert repo.git("ls-tree", "--name-only", "main:prices").splitlines() == menu
    return menu


# -- the ledger ----------------------------------------------------------------------------------------------


def by_report(report: Json) -> Table:
    """Return what a report says: that of ``status --json``, or of the interface."""
    table = Table()
    for task in report["tasks"]:
        patch = task["patch"] or {"state": None, "reason": None}
        table[task["name"]] = outcome_of(task["state"], task["reason"], patch["state"], patch["reason"])
    return table


def by_lists(url: str, run_id: str) -> Table:
    """Return what the client reads, page by page."""
    table = Table()
    with Client(url) as client:
        cursor = None
        while True:
            page = client.tasks(run=run_id, limit=5, cursor=cursor)
            for task in page.items:
                patch: Json = {} if task.patch_id is None else client.patch(task.patch_id).raw
                table[task.name] = outcome_of(
                    task.state, task.raw["reason"], patch.get("state"), patch.get("reason")
                )
            if (cursor := page.next) is None:
                return table


# -- the audit -----------------------------------------------------------------------------------------------


def by_events(events: Iterable[Json], names: Mapping[str, str]) -> Table:
    """Return the outcomes that the changes of state lead to, one after the other.

    Args:
        events: Events, oldest first.
        names: The names of tasks by their identifiers.
    """
    tasks, patches = dict[str, Json](), dict[str, Json]()
    for event in events:
        if event["entity_type"] == "task":
            tasks[event["entity_id"]] = event
        elif event["entity_type"] == "patch_ledger" and event["to_state"] is not None:
            patches[event["context"]["task_id"]] = event
    table = Table()
    for task, last in tasks.items():
        patch = patches.get(task, {"to_state": None, "reason": None})
        table[names[task]] = outcome_of(last["to_state"], last["reason"], patch["to_state"], patch["reason"])
    return table


def incidents_of_events(events: Iterable[Json]) -> Counts:
    """Return the incidents among events."""
    found = Counter[str]()
    for event in events:
        match event["event_type"], event["to_state"]:
            case "circuit_breaker_state_transition", "OPEN":
                found["breakers that opened"] += 1
            case "task_state_transition", "retrying":
                found[f"tasks tried again: {event['trigger']}"] += 1
            case "manual_override", _:
                found[f"decisions about a {event['entity_type']}"] += 1
            case "rollback", _:
                found["rollbacks"] += 1
    return found


# -- the metrics ---------------------------------------------------------------------------------------------


class Metrics:
    """The figures that a scraper reads."""

    def __init__(self, url: str) -> None:
        answer = httpx.get(f"{url}/metrics", timeout=PATIENCE)
        assert answer.status_code == 200
        self._samples = [
            sample
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
            if sample.value
        ]

    def by(self, name: str, label: str, **labels: str) -> Counts:
        """Return the samples of a metric by one of its labels."""
        return {
            sample.labels[label]: int(sample.value)
            for sample in self._samples
            if sample.name == f"maingate_{name}" and labels.items() <= sample.labels.items()
        }

    def outcomes(self) -> Counts:
        """Return how many tasks had each outcome.

        A patch that conflicts is refused at its landing, when its task has completed; others with their task.
        """
        patches = self.by("entity_state", "state", entity_type="patch_ledger")
        tasks = self.by("entity_state", "state", entity_type="task")
        refused = self.by("patches_quarantined_total", "reason")
        landed, taken_back, conflicts = patches["committed"], patches["rolled_back"], refused["conflict"]
        return {
            LANDED: landed,
            ROLLED_BACK: taken_back,
            DONE: tasks["completed"] - landed - taken_back - conflicts,
            "failed": tasks["failed"] - (sum(refused.values()) - conflicts),
            **{f"refused: {reason}": number for reason, number in refused.items()},
        }

    def flakes(self) -> Counts:
        """Return the flakes of each gate."""
        return self.by("gate_flakes_total", "gate")

    def attempts(self, tool: str) -> Counts:
        """Return the attempts of a tool by their outcome."""
        return self.by("tool_runs_total", "outcome", tool=tool)

    def incidents(self) -> Counts:
        """Return the incidents."""
        retries = self.by("task_retries_total", "trigger")
        overrides = self.by("manual_state_overrides_total", "entity_type")
        return {
            "breakers that opened": sum(self.by("circuit_breaker_openings_total", "tool").values()),
            "rollbacks": self.by("rollbacks_total", "result").get("landed", 0),
            **{f"tasks tried again: {trigger}": number for trigger, number in retries.items()},
            **{f"decisions about a {kind}": number for kind, number in overrides.items()},
        }


# -- gates and tools -----------------------------------------------------------------------------------------


def flakes_by_list(url: str, run_id: str) -> Counts:
    """Return the flakes of each gate, by the executions that the interface lists."""
    items = get(url, "gates", run=run_id, limit=200)["items"]
    return Counter(gate["name"] for gate in items if gate["is_flaky"])


def attempts_of(bakery: Bakery, task: str) -> list[str]:
    """Return the outcome of each attempt at a task that has no patch, by ``patch show``."""
    return [attempt["outcome"] for attempt in command(bakery, "patch", "show", task)["attempts"]]
