"""Pages of a played story: each is there as HTML and as JSON, and no link leads nowhere."""

import re
from typing import Any

import httpx
import pytest

from maingate.errors import DatabaseError
from support.command_line import Played
from support.live_server import Live
from support.page_reader import Reader


def pages_of(played: Played) -> list[str]:
    """Return the addresses of all pages about a story."""
    run = played.report["run_id"]
    stream = played.report["workstreams"][0]["id"]
    patches = [task["patch"]["id"] for task in played.report["tasks"] if task["patch"]]
    return [
        *(
            "/",
            "/workers",
            "/breakers",
            "/queues",
            "/queue/tally/main",
            "/events",
            "/events?q=type:task+since:24h",
            "/events?q=by:state",
            "/events?report=slow",
            "/charts",
            "/charts?since=1h",
        ),
        *(f"/runs/{run}", f"/runs/{run}?open={stream}", f"/runs/{run}?by=worker", f"/runs/{run}/ledger"),
        *(f"/runs/{run}/ledger?state=quarantined&q=code", f"/runs/{run}/ledger?q=nothing+like+it"),
        *(f"/runs/{run}/timeline", f"/runs/{run}/timeline?by=worker"),
        *(f"/patches/{patch}" for patch in patches),
    ]


def test_each_page_is_whole_and_leads_somewhere(client: httpx.Client, played: Played) -> None:
    """Elements are closed, no id is there twice, nothing is inline, and each link answers."""
    links: set[str] = set()
    for address in pages_of(played):
        page = client.get(address)
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8"), address
        read = Reader(page.text)
        assert (read.faults, sorted(id_ for id_ in set(read.ids) if read.ids.count(id_) > 1)) == ([], []), (
            address
        )
        links |= {httpx.URL(f"http://x{address}").join(link).raw_path.decode() for link in read.links}
    statuses = {link: client.get(link, follow_redirects=True).status_code for link in links}
    assert {link: status for link, status in statuses.items() if status != 200} == {}


@pytest.mark.parametrize(
    "name", ["index", "workers", "breakers", "queues", "queue/tally/main", "events", "charts"]
)
def test_each_page_is_there_as_json(client: httpx.Client, name: str) -> None:
    """It has the values that the page shows."""
    answer = client.get(f"/{name}.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert isinstance(answer.json(), dict)


def test_a_run_is_shown_by_its_workstreams(client: httpx.Client, played: Played) -> None:
    """Tasks are shown of the workstream that is opened, and of no other."""
    run, stream = played.report["run_id"], played.report["workstreams"][0]
    folded = client.get(f"/runs/{run}.json").json()
    opened = client.get(f"/runs/{run}.json?open={stream['id']}").json()
    assert [each["name"] for each in folded["workstreams"]] == [
        each["name"] for each in played.report["workstreams"]
    ]
    assert folded["open"] is None
    assert [task["name"] for task in opened["open"]["tasks"]] == [
        task["name"] for task in played.report["tasks"] if task["name"].startswith(f"{stream['name']}/")
    ]


def test_the_ledger_counts_filters_and_searches(client: httpx.Client, played: Played) -> None:
    """Refused patches come first; counts are of all that match the text, whichever state is chosen."""
    address = f"/runs/{played.report['run_id']}/ledger.json"

    def read(**query: str) -> dict[str, Any]:
        found: dict[str, Any] = client.get(address, params=query).json()
        return found

    every, refused = read(), read(state="quarantined")
    states = [patch["state"] for patch in every["patches"]]
    assert states == sorted(states, key=["quarantined", "committed"].index)
    assert refused["counts"] == every["counts"]
    assert refused["found"] == every["counts"]["quarantined"] == len(refused["patches"])
    by_path = {patch["task"] for patch in read(q="tally/receipt.py")["patches"]}
    assert by_path == {
        patch["task"]
        for patch in every["patches"]
        if any("tally/receipt.py" in path for path in patch["paths"])
    }
    assert [patch["task"] for patch in read(q="faster-total")["patches"]] == ["faster-total/sum"]
    assert read(q="No module named")["found"] == 0 or read(q="No module named")["patches"]


def test_a_patch_opens_at_the_gate_that_refused_it(client: httpx.Client, played: Played) -> None:
    """Its log is there, opened, and so is the command that shows the failure elsewhere."""
    patch = played.task("faster-total/sum")["patch"]["id"]
    view, page = client.get(f"/patches/{patch}.json").json(), client.get(f"/patches/{patch}").text
    assert view["gates"][0]["id"] == view["failing"]
    assert "FAILED" in view["gates"][0]["tail"]
    assert re.search(rf'id="{view["failing"]}" data-state="FAILED" open', page)
    assert f"archive {view['gates'][0]['tree']}" in view["reproduce"]
    assert {"add", "del", "at", "file"} <= {line["kind"] for line in view["diff"]}


@pytest.mark.parametrize(
    "address",
    ["/charts?since=1h", "/events?q=type:task+since:24h", "/events?q=by:state", "/events?report=slow"],
)
def test_a_link_to_a_time_shows_the_same_later(client: httpx.Client, address: str) -> None:
    """It states both ends of the time, so that it shows what the page shows now."""
    now = Reader(client.get(address).text)
    [pinned] = [link for link in now.links if "until" in link and link.startswith("?")]
    path = address.partition("?")[0]
    shown, again = (client.get(f"{path}.json{query}").json() for query in (pinned, pinned))
    assert shown == again
    assert shown.get("end", "") in httpx.URL(f"http://x/{pinned}").params.get("until", "")


def test_an_identifier_leads_to_its_page(client: httpx.Client, live: Live, played: Played) -> None:
    """So does the name of a task, typed into the search."""
    del live
    run = played.report["run_id"]
    task = played.task("faster-total/sum")
    stream = played.report["workstreams"][0]["id"]
    expected = {
        f"/go/{run}": f"/runs/{run}",
        f"/go/{task['id']}": f"/patches/{task['patch']['id']}",
        f"/go/{stream}": f"/runs/{run}?open={stream}#open",
        f"/go?q={task['patch']['id']}": f"/patches/{task['patch']['id']}",
        "/go?q=faster-total/sum": f"/patches/{task['patch']['id']}",
    }
    assert {link: client.get(link).headers.get("location") for link in expected} == expected


def test_events_and_reports_name_things_as_queries_do(client: httpx.Client) -> None:
    """Names of machines on record, such as patch_ledger, are not shown."""
    for address in ("/events?q=type:patch", "/events?report=waits"):
        text = client.get(address).text
        assert "patch ledger" not in text
        assert re.search(r"<td>patch ?<", text), address


def test_a_repository_whose_record_cannot_be_read_is_shown_beside_the_others(
    live: Live, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs a person, first of all, and what is wrong with it is said."""

    def failing() -> None:
        raise DatabaseError("it is <gone>")

    assert client.get("/").status_code == 200
    monkeypatch.setattr(live.site["tally"].context.database, "read", failing)
    page = client.get("/")
    assert page.status_code == 200
    assert Reader(page.text).faults == []
    assert "it is &lt;gone&gt;" in page.text
    assert "Nothing needs you" not in page.text
    [item] = client.get("/index.json").json()["items"]
    assert (item["code"], item["command"].split()[-1]) == ("record_unreadable", "doctor")


def test_a_fault_is_a_page_with_the_next_step(client: httpx.Client) -> None:
    """People get a page, programs a problem document."""
    for address in (
        "/runs/run_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "/go/nothing",
        "/nothing",
        "/charts?since=9y",
        "/charts?until=then",
        "/charts?until=9999-12-31T23:59:59-23:59",
        "/patches?begin=0001-01-01T00:00:00Z&end=9999-12-31T23:59:59Z",
    ):
        page = client.get(address, headers={"Accept": "text/html"})
        assert page.status_code in {404, 409}
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert Reader(page.text).faults == []
        assert 'href="/"' in page.text
    assert "there is no page at this address" in client.get("/nothing", headers={"Accept": "text/html"}).text
    missing = client.get("/runs/run_01ARZ3NDEKTSV4RRFFQ69G5FAV.json")
    assert missing.headers["content-type"] == "application/problem+json"
