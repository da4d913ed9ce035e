"""The pages in a real browser: watched live, used by keyboard and without scripts, and looked at by axe."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from maingate.db.dao import runs, tasks, workstreams
from maingate.db.dao.history import stops
from maingate.errors import InterruptedRunError
from maingate.ids import RunId
from maingate.plan.loader import load_plan
from maingate.services.runs.run_creation import Admission, create
from maingate.state.task import TaskState
from support.command_line import Played
from support.database_factories import bring_to
from support.live_server import Live, served
from support.serving import Yard, waiting_for

pytestmark = pytest.mark.browser

CHROMIUM: Final = Path("/usr/bin/chromium")
OPTIONS: Final = [
    *("--no-sandbox", "--headless", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
LEFT_AS_IT_WAS: Final = """() => {
  const at = document.activeElement;
  return [at.ariaLabel, at.value, at.selectionStart, at.selectionEnd, scrollY,
    at.closest("details").open, document.getElementById("streams-list").open];
}"""
"""What a reader has: the focus, the text, the selected part of it, the place on the page, and two folds."""
PATIENCE: Final = 60_000
"""Milliseconds that anything here may take; it takes a fraction of them."""
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give Chromium; without it the tests are skipped, and fail where it is required (`.ci/run page`)."""
    if not CHROMIUM.exists():
        if os.environ.get("MAINGATE_BROWSER") == "required":
            pytest.fail(f"{CHROMIUM} is not there, and this check may not be skipped")
        pytest.skip(f"there is no {CHROMIUM} here: `apt-get install chromium` brings it")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Give a page of a context of its own; an error of a script or of the security policy fails the test."""
    yield from opened(browser)


def opened(browser: Browser, **options: Any) -> Iterator[Page]:
    """Open a page, and look at its end whether it complained."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE)
    shown, said = context.new_page(), list[str]()
    shown.on("pageerror", lambda error: said.append(str(error)))
    shown.on(
        "console", lambda message: said.append(message.text) if "Content Security" in message.text else None
    )
    yield shown
    context.close()
    assert said == []


PAGES: Final = {
    "run": "/runs/{run}?open={stream}",
    "index": "/",
    "ledger": "/runs/{run}/ledger",
    "timeline": "/runs/{run}/timeline",
    "patch": "/patches/{patch}",
    "workers": "/workers",
    "breakers": "/breakers",
    "queues": "/queue/tally/main",
    "events": "/events",
    "charts": "/charts?since=1h",
    "login": "/login",
    "fault": "/runs/run_01ARZ3NDEKTSV4RRFFQ69G5FAV",
}
"""An address of each kind of page."""
OF_COLOURS: Final = ["color-contrast", "link-in-text-block"]
"""The rules of axe whose answer depends on colours."""


def faults(shown: Page, options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what axe finds on a page: rules, each with the beginning of an element."""
    found = Axe().run(shown, options={"resultTypes": ["violations"], **options}).response["violations"]
    return [(each["id"], node["html"][:160]) for each in found for node in each["nodes"]]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "run" else pytest.mark.thorough) for name in PAGES]
)
def test_axe_finds_nothing_on_any_page(browser: Browser, live: Live, played: Played, name: str) -> None:
    """Labels, contrast and roles are right, in the light and in the dark; nothing is too wide for a phone."""
    address = PAGES[name].format(
        run=played.report["run_id"],
        stream=played.report["workstreams"][0]["id"],
        patch=played.task("faster-total/sum")["patch"]["id"],
    )
    for shown in opened(
        browser, color_scheme="light", viewport={"width": 380, "height": 800}, bypass_csp=True
    ):
        shown.goto(f"{live.url}{address}")
        assert faults(shown, {}) == []
        assert shown.evaluate("document.documentElement.scrollWidth") <= 380
        shown.emulate_media(color_scheme="dark")
        assert faults(shown, {"runOnly": OF_COLOURS}) == []
        assert shown.evaluate("document.documentElement.scrollWidth") <= 380


@pytest.mark.thorough
def test_a_run_is_watched_to_its_end(browser: Browser, tmp_path: Path) -> None:
    """The page changes by itself; folds, focus, place and text stay, until the run has succeeded."""
    yard, first, second = Yard.create(tmp_path), tmp_path / "first", tmp_path / "second"
    tasks = {"t": {"patch": "p"}, "u": {"command": waiting_for(second), "needs": ["t"]}}
    plan = yard.plan(
        "x", gate=f"echo begun; {waiting_for(first)}; echo done", workstreams={"x": {"tasks": tasks}}
    )
    with served([yard.repo.path], is_hosting=True) as live:
        for shown in opened(browser, viewport={"width": 800, "height": 500}):
            shown.goto(live.url)
            expect(shown.locator("#connection")).to_have_text("live")
            run_id = live.site["repo"].admission.admit_for_server(load_plan(plan))
            live.site.wake()
            shown.get_by_role("link", name="x", exact=True).click()
            expect(shown).to_have_url(re.compile(f"/runs/{run_id}"))
            expect(shown.locator("h1 .state").first).to_contain_text("running")
            shown.get_by_role("link", name="t", exact=True).click()
            expect(shown.locator("pre.log")).to_contain_text("begun")
            shown.go_back()
            shown.get_by_text("Cancel the run…").click()
            reason = shown.locator("#content").get_by_label("Reason").first
            reason.fill("half a reas")
            shown.locator("#streams-list summary").click()
            reason.evaluate("each => { each.focus(); each.setSelectionRange(2, 6); scrollTo(0, 120); }")
            first.touch()
            done = shown.locator("tr", has=shown.get_by_role("link", name="t", exact=True)).last
            expect(done.locator(".state").first).to_contain_text("completed")
            assert shown.evaluate(LEFT_AS_IT_WAS) == ["Reason", "half a reas", 2, 6, 120, True, False]
            second.touch()
            expect(shown.locator("h1 .state").first).to_contain_text("succeeded")
            expect(shown.locator(".tile").first).to_contain_text("1/1")


@pytest.mark.thorough
def test_each_decision_about_a_living_run_has_its_button(browser: Browser, tmp_path: Path) -> None:
    """Each is offered where it suits the state, is carried out with its reason, and names the operator."""
    yard, waits = Yard.create(tmp_path), tmp_path / "go"
    tasks = {
        "held": {"command": waiting_for(waits), "critical": False},
        "t": {"patch": "p"},
        "done": {"command": "false"},
        "later": {"command": "true", "critical": False, "needs": ["held"]},
    }
    streams = {
        "x": {"tasks": tasks},
        "y": {"critical": False, "needs": ["x"], "tasks": {"k": {"command": "true"}}},
    }
    plan = yard.plan("x", policy={"reviewers": 1}, workstreams=streams)
    with served([yard.repo.path], is_hosting=True) as live:
        run_id = live.site["repo"].admission.admit_for_server(load_plan(plan))
        live.site.wake()
        for shown in opened(browser):
            shown.goto(f"{live.url}/runs/{run_id}")
            shown.locator("#streams-list summary").click()
            shown.get_by_role("link", name="y", exact=True).click()
            decide(shown, shown.locator("#open"), "Cancel the workstream", "nobody needs it")
            shown.locator("#streams-list summary").click()
            shown.get_by_role("link", name="x", exact=True).click()
            expect(row(shown, "done").locator(".state").first).to_contain_text("queued")
            decide(shown, row(shown, "done"), "Complete by hand", "done elsewhere")
            decide(shown, row(shown, "later"), "Cancel", "too late")
            opened_run = shown.url
            row(shown, "t").get_by_role("link", name="t", exact=True).click()
            decide(shown, shown.locator("#content"), "Approve", "well made")
            shown.goto(opened_run)
            decide(shown, row(shown, "held"), "Fail by hand", "it hangs")
            expect(shown.locator("h1 .state").first).to_contain_text("succeeded")
            decide(shown, shown.locator("#content"), "Roll the run back", "it breaks the release")
            row(shown, "t").get_by_role("link", name="t", exact=True).click()
            expect(shown.locator(".history")).to_contain_text("it breaks the release")
            shown.get_by_text("Try again…").click()
            shown.get_by_role("button", name="Try again", exact=True).click()
            expect(shown.locator(".said")).to_contain_text("recover")
            shown.goto(f"{live.url}/events?q=ada")
            cancelled = [f"ada cancelled it: {reason}" for reason in ("nobody needs it", "too late")]
            for said in (*cancelled, "ada: done elsewhere", "ada: it hangs", "ada: it breaks the release"):
                expect(shown.locator("table").first).to_contain_text(said)


@pytest.mark.thorough
def test_a_queue_is_watched_paused_and_resumed(browser: Browser, tmp_path: Path) -> None:
    """The page shows what is tested together as it happens, and its forms give orders."""
    yard, go = Yard.create(tmp_path), tmp_path / "go"
    for name in ("x", "y"):
        (tmp_path / "plan.x").mkdir(exist_ok=True)
        (tmp_path / "plan.x" / f"{name}.patch").write_bytes(yard.repo.diff_of({f"{name}.txt": f"{name}\n"}))
    streams = {name: {"tasks": {"t": {"patch": f"{name}.patch"}}} for name in ("x", "y")}
    gates = {"unit": {"run": waiting_for(go), "on": ["landing"]}}
    plan = yard.plan("x", gates=gates, workstreams=streams)
    with served([yard.repo.path], is_hosting=True) as live:
        live.site["repo"].admission.admit_for_server(load_plan(plan))
        live.site.wake()
        for shown in opened(browser, bypass_csp=True):
            shown.goto(f"{live.url}/queues")
            expect(shown.locator("tr[data-row]")).to_have_count(2)
            expect(shown.locator("tr[data-row] .state").first).to_contain_text("testing")
            expect(shown.locator("svg.train .test title").first).to_contain_text("unit, needed with")
            assert faults(shown, {}) == []
            decide(shown, shown.locator("#content"), "Pause", "release")
            expect(shown.locator(".needs")).to_contain_text("Paused: no new test, no landing: release")
            go.touch()
            expect(shown.locator("tr[data-row] .state").last).to_contain_text("proven")
            decide(shown, shown.locator("#content"), "Resume the queue", "released")
            expect(shown.locator("tr[data-row]")).to_have_count(0)
    assert yard.names_on("main") == {"x", "y"}


STANDING: Final = {
    "again": {"flaky": TaskState.RETRYING, "next": TaskState.BLOCKED},
    "freed": {"first": TaskState.COMPLETED, "second": TaskState.BLOCKED},
    "rest": {"t": TaskState.COMPLETED, "extra": TaskState.QUEUED},
    "lost": {"x": TaskState.QUEUED},
}
"""The workstreams of a run that has stopped, and the states of their tasks."""


def stopped_run(live: Live, plan: Path) -> RunId:
    """Record a run that has stopped amid its work: its server has its requests answered, and no more."""
    maingate, loaded = live.site["repo"], load_plan(plan)
    repository, context = maingate.repository, maingate.context
    at = context.clock.now()
    with maingate.database.write() as conn:
        admission = Admission(loaded=loaded, target=repository.resolve_target("main"))
        run_id = create(conn, repository, admission, repository_id=context.identity.id, at=at)
        bring_to(conn, runs.get(conn, run_id).head, "running", at=at)
        for stream in workstreams.of_run(conn, run_id):
            bring_to(conn, stream.head, "executing", at=at)
        for task in tasks.of_run(conn, run_id):
            name = workstreams.get(conn, task.workstream_id).name
            bring_to(conn, task.head, str(STANDING[name][task.name]), at=at)
        stops.record(conn, run_id, InterruptedRunError("it was stopped"), at=at)
    return run_id


@pytest.mark.thorough
def test_each_decision_about_a_run_that_has_stopped_has_its_button(browser: Browser, tmp_path: Path) -> None:
    """A task is tried again now or unblocked; a workstream lands without the rest, or is given up."""
    yard = Yard.create(tmp_path)
    streams = {
        name: {
            "critical": False,
            "tasks": {task: {"command": "true", "critical": task in {"t", "first"}} for task in states},
        }
        for name, states in STANDING.items()
    }
    plan = yard.plan("x", workstreams=streams)
    said = {"again": "it is mended", "freed": "it is done", "rest": "good enough", "lost": "of no use"}
    with served([yard.repo.path], is_hosting=True) as live:
        run_id = stopped_run(live, plan)
        ids = {each["name"]: each["id"] for each in live.site["repo"].report(run_id)["workstreams"]}
        for shown in opened(browser):
            for name, label, task in (
                ("again", "Retry now", "flaky"),
                ("freed", "Unblock", "second"),
                ("rest", "Land without the rest", None),
                ("lost", "Give it up", None),
            ):
                shown.goto(f"{live.url}/runs/{run_id}?open={ids[name]}")
                place = shown.locator("#open") if task is None else row(shown, task)
                decide(shown, place, label, said[name])
            shown.goto(f"{live.url}/events?q=type:override")
            for reason in said.values():
                made = shown.locator("tr", has_text=reason)
                expect(made).to_contain_text("manual override by ada")


def test_a_tool_is_paused_and_used_again(page: Page, own: Live) -> None:
    """Any tool that plans here know, whether it has ever failed or not."""
    page.goto(f"{own.url}/breakers")
    page.get_by_text("Pause a tool…").click()
    expect(page.get_by_label("Tool", exact=True)).to_be_focused()
    page.keyboard.type("claude")
    page.locator("#content").get_by_label("Reason").last.fill("it only answers nonsense")
    page.get_by_role("button", name="Pause", exact=True).last.click()
    expect(row(page, "claude")).to_contain_text("ada: it only answers nonsense")
    decide(page, row(page, "claude"), "Use again", "it is mended")
    expect(row(page, "claude").locator(".state").first).to_contain_text("closed")


def row(shown: Page, name: str) -> Locator:
    """Find the row of a thing by its name."""
    return shown.locator("[data-row]", has=shown.locator("b", has_text=re.compile(f"^{name}$"))).last


def decide(shown: Page, place: Locator, label: str, reason: str) -> None:
    """Open the form of a decision, give a reason, and see that it was carried out."""
    place.get_by_text(f"{label}…", exact=True).click()
    form = place.locator("form", has=shown.get_by_role("button", name=label, exact=True))
    form.get_by_role("textbox").fill(reason)
    form.get_by_role("button", name=label, exact=True).click()
    expect(shown.locator(".said")).to_be_visible()


def test_a_decision_needs_no_scripts(browser: Browser, own: Live, played: Played) -> None:
    """Its form is plain HTML, and the record names the operator."""
    patch = played.task("faster-total/sum")["patch"]["id"]
    for shown in opened(browser, java_script_enabled=False):
        shown.goto(f"{own.url}/patches/{patch}")
        shown.get_by_text("Drop…").click()
        shown.get_by_label("Reason").last.fill("it is of no use")
        shown.get_by_role("button", name="Drop", exact=True).click()
        expect(shown.locator(".said")).to_contain_text("drop")
        expect(shown.locator("h1 .state").first).to_contain_text("dropped")
        expect(shown.locator(".history")).to_contain_text("by ada")


def test_keys_move_search_and_help(page: Page, live: Live) -> None:
    """`j` and `k` go through rows, `/` to the search, and `?` lists the keys."""
    page.goto(live.url)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    rows = page.locator("[data-row]")
    expect(rows.first).to_have_attribute("aria-current", "true")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("faster-total/sum")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("faster-total/sum")


@pytest.mark.thorough
def test_the_window_of_the_timeline_is_part_of_the_address(page: Page, live: Live, played: Played) -> None:
    """A link shows the same part of the run."""
    page.goto(f"{live.url}/runs/{played.report['run_id']}")
    page.locator("canvas").focus()
    expect(page.locator("canvas")).to_have_css("height", re.compile(r"[3-9]\d\dpx"))
    page.keyboard.press("+")
    expect(page).to_have_url(re.compile(r"window=[\d.]+-[\d.]+"))
    page.keyboard.press("0")
    expect(page).not_to_have_url(re.compile("window="))


@pytest.mark.thorough
def test_a_lost_server_is_told(browser: Browser, played: Played) -> None:
    """The line of state says that the page is not live any more."""
    for shown in opened(browser):
        with served([played.stage.repository]) as live:
            shown.goto(live.url)
            expect(shown.locator("#connection")).to_have_text("live")
        expect(shown.locator("#connection")).to_have_text("reconnecting …")
