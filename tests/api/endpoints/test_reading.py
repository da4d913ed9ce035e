"""Reading: every list and every object, in pages, by field, and only when it changed."""

import base64
import json
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from maingate.api.schemas.events import EventCount
from maingate.api.schemas.gates import GateItem
from maingate.api.schemas.patches import PatchDetail, PatchItem
from maingate.api.schemas.record import InboxAbout, InboxMatter, RecordAudit
from maingate.api.schemas.runs import RunItem, RunReport
from maingate.api.schemas.workforce import WorkerItem
from maingate.api.schemas.workstreams_and_tasks import TaskItem, WorkstreamItem
from maingate.queries.events.history import EventQuery
from support.command_line import Played
from support.live_server import Live, problem

LISTS: dict[str, type[BaseModel]] = {
    "runs": RunItem,
    "workstreams": WorkstreamItem,
    "tasks": TaskItem,
    "patches": PatchItem,
    "gates": GateItem,
}
SINGLE: dict[str, type[BaseModel]] = {
    "workstreams": WorkstreamItem,
    "tasks": TaskItem,
    "patches": PatchDetail,
    "gates": GateItem,
    "runs": RunReport,
}
NO_ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


def items(client: httpx.Client, path: str, **query: Any) -> list[dict[str, Any]]:
    """Read a list to its end, page by page."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = client.get(f"/api/v1/{path}", params=query | ({"cursor": cursor} if cursor else {}))
        assert page.status_code == 200, page.text
        found += page.json()["items"]
        cursor = page.json()["next"]
        if cursor is None:
            return found


def keys_of(model: type[BaseModel]) -> set[str]:
    """Return the names of a model's fields as they are in JSON."""
    return {field.alias or name for name, field in model.model_fields.items()}


@pytest.mark.parametrize("path", list(LISTS))
def test_a_list_has_what_its_description_says(client: httpx.Client, path: str) -> None:
    """Each item has each field of the model, and no other."""
    found = items(client, path)
    assert found
    for item in found:
        assert item.keys() == keys_of(LISTS[path])
        LISTS[path].model_validate(item)
    assert [item["id"] for item in found] == sorted((item["id"] for item in found), reverse=True)


@pytest.mark.parametrize("path", list(SINGLE))
def test_an_object_has_what_its_description_says(client: httpx.Client, path: str) -> None:
    """Each object of a list is found by its identifier, with each field of the model, and no other."""
    for item in items(client, path)[:5]:
        answer = client.get(f"/api/v1/{path}/{item['id']}")
        assert answer.status_code == 200
        assert answer.json().keys() == keys_of(SINGLE[path])
        SINGLE[path].model_validate(answer.json())


def test_a_report_is_that_of_the_command_line(client: httpx.Client, played: Played) -> None:
    """`runs/{id}` is what `run --json` printed."""
    report = client.get(f"/api/v1/runs/{played.report['run_id']}").json()
    assert report.pop("repo") == "tally"
    assert report == played.report


@pytest.mark.parametrize("path", ["tasks", "patches", "gates"])
def test_pages_join_to_the_whole_list(client: httpx.Client, path: str) -> None:
    """Whatever the size of a page, nothing is missing and nothing comes twice."""
    whole = items(client, path)
    for limit in (1, 2, len(whole)):
        assert items(client, path, limit=limit) == whole


@pytest.mark.parametrize("path", list(LISTS))
def test_filters_choose(client: httpx.Client, path: str) -> None:
    """A state chooses those in it; of several states any counts; one that nothing is in chooses nothing."""
    whole = items(client, path)
    states = {item["state"] for item in whole}
    for state in states:
        assert items(client, path, state=state) == [item for item in whole if item["state"] == state]
    assert items(client, path, state=[*states, "nonsense"]) == whole
    assert items(client, path, state="nonsense") == []
    assert items(client, path, repo="tally") == whole
    assert problem(client.get(f"/api/v1/{path}", params={"repo": "other"})) == (404, "not_found")


def test_tasks_are_found_by_a_part_of_their_name(client: httpx.Client) -> None:
    """Case does not matter, and no character of a name is a pattern."""
    whole = items(client, "tasks")
    bare = whole[0]["name"].partition("/")[2]
    assert whole[0] in items(client, "tasks", name=bare[:3].upper())
    assert items(client, "tasks", name=whole[0]["name"]) == [whole[0]]
    assert items(client, "tasks", name="%") == []
    assert items(client, "tasks", name="_") == []


def test_a_cursor_is_of_one_list_and_its_filters(client: httpx.Client) -> None:
    """It is refused elsewhere, instead of leaving something out."""
    cursor = client.get("/api/v1/tasks?limit=1").json()["next"]
    for path in ("tasks?state=completed&", "patches?", "gates?"):
        assert problem(client.get(f"/api/v1/{path}cursor={cursor}")) == (400, "invalid_cursor")
    for nonsense in ("", "%00", "AAAA", "W10", "Wzfd", "é"):
        answer = client.get("/api/v1/tasks", params={"cursor": nonsense})
        assert problem(answer) == (400, "invalid_cursor")


@pytest.mark.parametrize("path", ["tasks", "events"])
@pytest.mark.parametrize("place", [{"a": 1}, None, True, 10**30, -1, 1.5, "\ud800", "\x00"], ids=ascii)
def test_a_cursor_that_a_caller_made_is_a_place_or_refused(
    client: httpx.Client, path: str, place: object
) -> None:
    """The kind of a list can be read in any of its cursors."""
    cursor = client.get(f"/api/v1/{path}?limit=1").json()["next"]
    kind = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))[0]
    made = base64.urlsafe_b64encode(json.dumps([kind, place]).encode()).decode()
    answer = client.get(f"/api/v1/{path}", params={"limit": 1, "cursor": made})
    assert problem(answer) == (400, "invalid_cursor")


@pytest.mark.parametrize("path", list(LISTS))
def test_only_the_fields_that_are_asked_for(client: httpx.Client, path: str) -> None:
    """Of a list and of an object."""
    page = client.get(f"/api/v1/{path}?fields=state,id").json()
    assert page["items"]
    assert all(item.keys() == {"id", "state"} for item in page["items"])
    one = client.get(f"/api/v1/{path}/{page['items'][0]['id']}?fields=state").json()
    assert one == {"state": page["items"][0]["state"]}


def test_fields_that_are_not_there_are_refused(client: httpx.Client) -> None:
    """A misspelt field is no empty answer."""
    assert problem(client.get("/api/v1/tasks?fields=id,stat")) == (400, "unknown_field")
    task = items(client, "tasks")[0]["id"]
    assert problem(client.get(f"/api/v1/tasks/{task}?fields=stat")) == (400, "unknown_field")


@pytest.mark.parametrize("path", ["runs", "tasks", "workers", "breakers", "machines", "me"])
def test_what_the_client_has_is_not_sent_again(client: httpx.Client, path: str) -> None:
    """With the validator of an answer, the same answer is a 304 without a body."""
    first = client.get(f"/api/v1/{path}")
    tag = first.headers["etag"]
    again = client.get(f"/api/v1/{path}", headers={"If-None-Match": f'"x", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = client.get(f"/api/v1/{path}", headers={"If-None-Match": '"x"'})
    assert (other.status_code, other.content) == (200, first.content)


@pytest.mark.parametrize(
    "path",
    [
        *(f"{path}/{prefix}_{NO_ID}" for path, prefix in (("runs", "run"), ("tasks", "task"))),
        f"tasks/run_{NO_ID}",
        "tasks/..%2f..%2fetc%2fpasswd",
        "gates/%2e%2e%2f%2e%2e%2f/log",
        "gates/gate_*/log",
        f"gates/gate_{NO_ID}/log",
        f"patches/patch_{NO_ID}/diff",
        "runs/%1b%5b2J",
        "runs/%e2%80%ae",
        "runs/%ff%fe",
        f"runs/{'x' * 5000}",
    ],
)
def test_an_unknown_identifier_is_not_found(client: httpx.Client, path: str) -> None:
    """Whatever it looks like, it is looked up in the record alone, and told back harmless and short."""
    answer = client.get(f"/api/v1/{path}")
    assert problem(answer) == (404, "not_found")
    assert answer.content.isascii()
    assert len(answer.content) < 1000


def test_an_identifier_of_another_kind_is_not_found(client: httpx.Client) -> None:
    """A patch is no task, though it exists."""
    patch = items(client, "patches")[0]["id"]
    assert problem(client.get(f"/api/v1/tasks/{patch}")) == (404, "not_found")


def test_nul_in_a_query_is_refused(client: httpx.Client) -> None:
    """No database stores it; it is no fault of the database."""
    assert problem(client.get("/api/v1/tasks?name=%00")) == (400, "bad_request")
    assert problem(client.get("/api/v1/tasks/%00")) == (400, "bad_request")


def test_workers_breakers_machines_and_the_audit(client: httpx.Client, live: Live) -> None:
    """Each is what the command line prints with --json."""
    workers = client.get("/api/v1/workers?ended=10").json()["items"]
    assert {worker["state"] for worker in workers} == {"shutdown"}
    for worker in workers:
        assert worker.keys() == keys_of(WorkerItem)
    assert client.get("/api/v1/breakers").json() == {"items": []}
    assert client.get("/api/v1/machines").json().keys() >= {"run", "task", "patch_ledger"}
    audit = client.get("/api/v1/audit/verify").json()
    assert audit["intact"] is True
    assert audit.keys() == keys_of(RecordAudit)
    assert live.site["tally"].context.paths.root.is_dir()


def test_events_are_listed_in_order_and_counted(client: httpx.Client, live: Live) -> None:
    """Pages join to the history; a filter chooses; the counts are those of the list."""
    context = live.site["tally"].context
    expected = [event.as_json() for event in EventQuery(context=context).after(0)]
    assert items(client, "events") == expected
    assert items(client, "events", limit=7) == expected
    tasks = [event for event in expected if event["event_type"] == "task_state_transition"]
    assert items(client, "events", type="task") == tasks
    one = tasks[0]["entity_id"]
    assert items(client, "events", entity=one) == [each for each in expected if each["entity_id"] == one]
    assert items(client, "events", since="2100-01-01T00:00:00") == []
    assert items(client, "overrides") == []
    counts = client.get("/api/v1/events/aggregate").json()["items"]
    assert sum(each["count"] for each in counts) == len(expected)
    assert all(each.keys() == keys_of(EventCount) for each in counts)


def test_the_inbox_names_what_needs_a_person(client: httpx.Client) -> None:
    """Each matter with the command that ends it, as `maingate inbox` lists them."""
    found = client.get("/api/v1/inbox").json()["items"]
    assert found
    for each in found:
        assert each.keys() == keys_of(InboxMatter)
        assert each["about"].keys() == keys_of(InboxAbout)
        assert each["command"].startswith("maingate ")


def faults(answer: httpx.Response) -> dict[str, str]:
    """Return the message about each parameter of a refused request."""
    assert problem(answer) == (422, "invalid_request")
    return {each["in"]: each["message"] for each in answer.json()["errors"]}


def test_a_misspelt_filter_is_refused(client: httpx.Client) -> None:
    """It would be passed over, and the whole list look like the answer."""
    found = faults(client.get("/api/v1/runs?stat=failed&limit=3"))
    assert found == {
        "query.stat": "there is no such parameter; known: cursor, fields, limit, name, repo, state"
    }


def test_a_filter_of_one_value_is_given_once(client: httpx.Client) -> None:
    """Of two values one would be passed over."""
    found = faults(client.get("/api/v1/tasks?run=a&run=b&name=x&name=y&state=failed&state=landed"))
    assert found.keys() == {"query.run", "query.name"}


def test_a_write_refuses_unknown_parameters(client: httpx.Client) -> None:
    """As a read does, before anything is done."""
    assert faults(client.post("/api/v1/runs?dry_run=1")).keys() == {"query.dry_run"}


def test_a_probe_may_have_parameters(client: httpx.Client) -> None:
    """Programs that ask for health add their own."""
    assert client.get("/health/live?probe=1").status_code == 200
