"""The pages of a large run in Chromium: their first paint, what readers do on them, and the server's share.

A run of 5,000 tasks on 200 workers is under way (`bench.page_record`), `maingate serve` shows it, and a
browser reads it. Each time is from the act of a reader to the paint that answers it. The login page of the
same server, which reads nothing, is the floor.
"""

import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import httpx
import psutil
from playwright.sync_api import Page, sync_playwright

from bench import page_record, repository
from bench.api import Server, serving
from bench.figures import Limit
from maingate.bootstrap import Maingate
from maingate.db.dao import workstreams
from maingate.ids import RunId
from maingate.state.workstream import WorkstreamState

CASES: Final = ("paint", "interaction", "swap", "server", "bytes")
MOST_PAINT, MOST_INTERACTION, MOST_SERVER, MOST_BYTES = 1000.0, 100.0, 500.0, 512.0
"""Milliseconds until the first paint and until the answer to an act, of the server's processor, and kB."""

_CHROMIUM: Final = "/usr/bin/chromium"
_OPTIONS: Final = ["--no-sandbox", "--headless", "--disable-gpu", "--disable-background-networking"]
_PATIENCE: Final = 60_000
_FLOOR: Final = "floor: the login page"
_FIRST_PAINT: Final = "(performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null)"
_PAINTED: Final = f"{_FIRST_PAINT} === null ? null : performance.timeOrigin + {_FIRST_PAINT}"
_NOW: Final = "performance.timeOrigin + performance.now()"
_NEXT_FRAME: Final = """async (act) => {
  const begin = performance.now();
  eval(act);
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  return performance.now() - begin;
}"""
_WATCH: Final = """() => {
  window.longest = 0;
  new PerformanceObserver((list) => {
    for (const each of list.getEntries()) window.longest = Math.max(window.longest, each.duration);
  }).observe({ entryTypes: ["longtask"] });
}"""


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """The record, its server and a browser's page."""

    maingate: Maingate
    run: RunId
    server: Server
    page: Page
    rounds: int

    @property
    def stream(self) -> str:
        """A workstream at work."""
        with self.maingate.database.read() as conn:
            of_run = workstreams.of_run(conn, self.run)
        return next(each.id for each in of_run if each.state is WorkstreamState.EXECUTING)

    def addresses(self) -> Mapping[str, str]:
        """Return the pages by their names."""
        of_run, stream = f"/runs/{self.run}", self.stream
        with httpx.Client(base_url=self.server.url, timeout=60) as client:
            patch = client.get(f"{of_run}/ledger.json").json()["patches"][0]["id"]
        return {
            _FLOOR: "/login",
            "overview": "/",
            "run": of_run,
            "run, a workstream open": f"{of_run}?open={stream}",
            "ledger": f"{of_run}/ledger",
            "ledger, searched": f"{of_run}/ledger?q=task-07",
            "timeline": f"{of_run}/timeline",
            "patch": f"/patches/{patch}",
            "workers": "/workers",
            "tools": "/breakers",
            "events": "/events",
            "report": "/events?report=slow",
            "charts": "/charts",
        }

    def median(self, measure: Callable[[], float]) -> float:
        """Return the median of some measurements, after a first one that does not count."""
        return statistics.median([measure() for _ in range(self.rounds + 1)][1:])


def measure(cases: Collection[str], *, folder: Path, rounds: int) -> Sequence[Limit]:
    """Measure the cases.

    Args:
        cases: Those that are asked for.
        folder: Where to work.
        rounds: Measurements of each.
    """
    made = repository.make(folder / "repository")
    (made / "a.txt").write_text("a\n")
    repository.commit(made, "base")
    with Maingate.open(made) as maingate:
        run = page_record.fill(maingate, folder)
        with serving(made) as server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=_OPTIONS)
            page = browser.new_context(viewport={"width": 1280, "height": 900}, bypass_csp=True).new_page()
            page.set_default_timeout(_PATIENCE)
            shown = _Shown(maingate=maingate, run=run, server=server, page=page, rounds=rounds)
            with closing(browser):
                return [limit for case in cases for limit in _MEASURED[case](shown)]


def _paint(shown: _Shown) -> Sequence[Limit]:
    """Measure the time from asking for each page to its first paint."""

    def first_paint(address: str) -> float:
        shown.page.goto(f"{shown.server.url}{address}", wait_until="load")
        return float(shown.page.wait_for_function(_FIRST_PAINT).json_value())

    return [
        Limit(
            case=f"{name}: first paint",
            maingate=shown.median(partial(first_paint, address)),
            asked=MOST_PAINT,
            unit="ms",
        )
        for name, address in shown.addresses().items()
    ]


def _interaction(shown: _Shown) -> Sequence[Limit]:
    """Measure the time from each act of a reader to the paint that answers it."""
    page, at = shown.page, shown.addresses()

    def followed(address: str, act: str) -> float:
        """Return the time from a click that leads to another page to the first paint of that one."""
        page.goto(f"{shown.server.url}{address}", wait_until="load")
        page.wait_for_function(_FIRST_PAINT)
        before = page.evaluate("performance.timeOrigin")
        begun = page.evaluate(f"(() => {{ const now = {_NOW}; {act}; return now; }})()")
        arrived = f"performance.timeOrigin !== {before} && ({_PAINTED})"
        return float(page.wait_for_function(arrived).json_value()) - float(begun)

    def changed(address: str, act: str, place: str, text: str) -> float:
        """Return the time from an act to the frame in which an element has a text."""
        page.goto(f"{shown.server.url}{address}", wait_until="networkidle")
        begun = page.evaluate(f"(() => {{ const now = {_NOW}; {act}; return now; }})()")
        there = f"document.querySelector({place!r})?.textContent.includes({text!r})"
        return float(page.wait_for_function(f"{there} && {_NOW}").json_value()) - float(begun)

    def answered(address: str, act: str) -> float:
        """Return the time from an act on a page to its next frame."""
        page.goto(f"{shown.server.url}{address}", wait_until="networkidle")
        return float(page.evaluate(_NEXT_FRAME, act))

    def key(name: str) -> str:
        return f"document.dispatchEvent(new KeyboardEvent('keydown', {{key: '{name}', bubbles: true}}))"

    canvas = "document.querySelector('canvas')"
    acts: Mapping[str, Callable[[], float]] = {
        f"{_FLOOR}, left for itself": lambda: followed("/login", "location.href = '/login?next=/x'"),
        "a workstream is opened": lambda: changed(
            at["run"], "document.querySelector('#streams-list a').click()", "#open", "task-00"
        ),
        "the ledger is filtered": lambda: changed(
            at["ledger"], "document.querySelectorAll('.filters a.good')[0].click()", "tbody tr", "verified"
        ),
        "the ledger is searched": lambda: changed(
            at["ledger"],
            "document.querySelector('main input[type=search]').value = 'task-07';"
            "document.querySelector('main form[role=search]').requestSubmit()",
            "tbody tr",
            "task-07",
        ),
        "the next patch is chosen by j": lambda: answered(at["ledger"], key("j")),
        "a fold is opened": lambda: answered(
            at["run"], "document.querySelector('#streams-list summary').click()"
        ),
        "the timeline is zoomed": lambda: answered(
            at["run"],
            f"{canvas}.dispatchEvent(new KeyboardEvent('keydown', {{key: '+', bubbles: true}}))",
        ),
        "a bar of the timeline is pointed at": lambda: answered(
            at["run"],
            f"{canvas}.dispatchEvent(new PointerEvent('pointermove', {{clientX: 600, clientY: 500}}))",
        ),
    }
    return [
        Limit(case=f"{name}", maingate=shown.median(act), asked=MOST_INTERACTION, unit="ms")
        for name, act in acts.items()
    ]


def _swap(shown: _Shown) -> Sequence[Limit]:
    """Measure how long an event takes to be seen on the run's page, which answers meanwhile."""
    page, address = shown.page, f"{shown.server.url}{shown.addresses()['run, a workstream open']}"
    page.goto(address, wait_until="load")
    page.wait_for_function("document.getElementById('connection').dataset.state === 'live'")
    page.wait_for_load_state("networkidle")
    page.evaluate(_WATCH)
    longest: list[float] = []

    def swapped() -> float:
        page.evaluate("window.longest = 0")
        begun = float(page.evaluate(_NOW))
        task = page_record.move_on(shown.maingate, shown.stream)
        page.wait_for_function(
            f"document.getElementById('{task}')?.querySelector('.state')?.textContent.includes('running')"
        )
        took = float(page.evaluate(_NOW)) - begun
        page.wait_for_timeout(2500)
        longest.append(float(page.evaluate("window.longest")))
        return took

    took = shown.median(swapped)
    return [
        Limit(case="an event is seen", maingate=took, asked=MOST_PAINT, unit="ms"),
        Limit(
            case="longest time without an answer meanwhile",
            maingate=max(longest[1:]),
            asked=MOST_INTERACTION,
            unit="ms",
        ),
    ]


def _server(shown: _Shown) -> Sequence[Limit]:
    """Measure the time of the server's processor for each page."""
    process = psutil.Process(shown.server.process.pid)
    with httpx.Client(base_url=shown.server.url, timeout=60) as client:

        def used(address: str) -> float:
            before = process.cpu_times()
            client.get(address).raise_for_status()
            after = process.cpu_times()
            return 1000 * (after.user + after.system - before.user - before.system)

        pages = dict(shown.addresses())
        pages["timeline as JSON"] = f"/runs/{shown.run}/timeline.json"
        return [
            Limit(
                case=f"{name}: the server's processor",
                maingate=shown.median(partial(used, address)),
                asked=MOST_SERVER,
                unit="ms",
            )
            for name, address in pages.items()
        ]


def _bytes(shown: _Shown) -> Sequence[Limit]:
    """Measure the size of each page."""
    pages = dict(shown.addresses())
    pages["timeline as JSON"] = f"/runs/{shown.run}/timeline.json"
    with httpx.Client(base_url=shown.server.url, timeout=60) as client:
        return [
            Limit(
                case=f"{name}: size",
                maingate=len(client.get(address).content) / 1000,
                asked=MOST_BYTES,
                unit="kB",
            )
            for name, address in pages.items()
        ]


_MEASURED: Final[Mapping[str, Callable[[_Shown], Sequence[Limit]]]] = {
    "paint": _paint,
    "interaction": _interaction,
    "swap": _swap,
    "server": _server,
    "bytes": _bytes,
}
