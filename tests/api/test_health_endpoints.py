"""Probes and scrapers, live: what they are answered, by whom, and what they may not wait for."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event

from maingate.api.schemas.health import HealthCheck, HealthReport
from maingate.monitoring.finding import CheckFinding
from maingate.monitoring.health import Check, HealthChecks
from maingate.roles import Role
from maingate.server import host
from maingate.server.served_repositories import Phase
from support.command_line import Played
from support.crashing import wait_until
from support.live_server import Live, problem, served


@pytest.fixture
def ready(own: Live) -> Live:
    """Give a server of its own that takes work."""
    own.site.phase = Phase.READY
    return own


def test_a_server_in_order(ready: Live) -> None:
    """Every probe is answered 200; the details are as described."""
    with ready.client() as client:
        assert client.get("/health/live").json() == {"status": "alive"}
        for path in ("/health", "/health/ready"):
            answer = client.get(path)
            assert (answer.status_code, answer.json()) == (
                200,
                {"state": "ok", "ready": True, "hindrance": None, "impaired": []},
            )
            assert answer.headers["cache-control"] == "no-store"
        detailed = client.get("/health/detailed")
    assert detailed.status_code == 200
    report = HealthReport.model_validate(detailed.json())
    assert detailed.json()["checks"][0].keys() == set(HealthCheck.model_fields)
    assert {check.repository for check in report.checks} == {"tally"}
    assert [check.name for check in report.checks if check.vital] == ["database", "repository"]


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.DRAINING])
def test_a_server_that_takes_no_work_is_not_ready_and_lives(own: Live, phase: Phase) -> None:
    """It is asked again later; nothing about it has failed, so no one restarts it."""
    own.site.phase = phase
    with own.client() as client:
        answer = client.get("/health/ready")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json() == {
            "state": "ok",
            "ready": False,
            "hindrance": str(phase),
            "impaired": [],
        }
        assert client.get("/health").status_code == 200
        assert client.get("/health/live").status_code == 200


def test_without_the_database_the_server_lives_and_is_not_ready(ready: Live) -> None:
    """A restart would not bring it back; work is refused until it is there."""
    (maingate,) = ready.site.repositories.values()
    maingate.paths.database.rename(maingate.paths.database.with_suffix(".away"))
    with ready.client() as client:
        assert client.get("/health/live").status_code == 200
        for path in ("/health/ready", "/health"):
            answer = client.get(path)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert answer.json() == {
                "state": "failed",
                "ready": False,
                "hindrance": None,
                "impaired": ["tally"],
            }


def test_one_repository_that_is_not_there_is_told_everywhere_and_served_when_it_is(
    played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is ready with the other one; those who may not know of it see no more than its name."""
    monkeypatch.setattr(host, "LOOK_INTERVAL", timedelta(milliseconds=20))
    there, away = (played.copy_to(tmp_path / name) for name in ("there", "away"))
    gone = tmp_path / "web"
    with served([gone, there], is_hosting=True) as server, server.client() as client:
        wait_until(lambda: server.site.phase is Phase.READY, "the host")
        ready = client.get("/health/ready")
        degraded = {"state": "degraded", "ready": True, "hindrance": None, "impaired": ["web"]}
        assert (ready.status_code, ready.json()) == (200, degraded)
        detailed = HealthReport.model_validate(client.get("/health/detailed").json())
        [check] = [each for each in detailed.checks if each.repository == "web"]
        assert (check.name, check.state, f"{gone} does not exist" in check.reason) == (
            "served",
            "failed",
            True,
        )
        assert f"{gone} does not exist" in client.get("/").text
        assert problem(client.get("/api/v1/runs?repo=web")) == (503, "outside_fault")
        secret = server.site["tally"].tokens.create("viewer", Role.VIEWER, operator="ada").text
        with server.client(secret) as viewer:
            assert str(gone) not in viewer.get("/").text + viewer.get("/health/detailed").text
        away.rename(gone)
        wait_until(lambda: "web" in {name for name, _ in server.site}, "the other repository")
        of_it = server.site["web"].tokens.create("late", Role.VIEWER, operator="ada").text
        with server.client(of_it) as late:
            assert late.get("/api/v1/runs?repo=web").json()["items"]
            assert late.get("/health/ready").json()["impaired"] == []


def test_the_liveness_probe_never_touches_the_database(ready: Live) -> None:
    """Not one transaction."""
    (maingate,) = ready.site.repositories.values()
    seen: list[str] = []
    event.listen(maingate.database.engine, "begin", lambda _connection: seen.append("begin"))
    with ready.client() as client:
        client.get("/health/live")
        assert seen == []
        client.get("/health/ready")
        assert seen


@contextmanager
def hanging(server: Live) -> Iterator[None]:
    """Let the vital check of a server hang meanwhile."""
    go = threading.Event()

    def hang() -> CheckFinding:
        go.wait()
        return CheckFinding(summary="")

    check = Check(name="database", examine=hang, is_vital=True, timeout=timedelta(milliseconds=20))
    server.app.state.health = HealthChecks([check])
    try:
        yield
    finally:
        go.set()


def test_a_check_that_hangs_makes_the_server_unready_and_hangs_nothing_else(ready: Live) -> None:
    """However many probes ask: each is answered, and so are all other requests."""
    from maingate.api.health_endpoints import MOST_AT_ONCE

    with hanging(ready), ready.client() as client:
        for _ in range(2 * MOST_AT_ONCE):
            assert client.get("/health/ready").status_code == 503
        assert client.get("/health/live").status_code == 200
        assert client.get("/api/v1/runs").status_code == 200


def test_details_and_metrics_need_a_token_and_probes_do_not(ready: Live) -> None:
    """Names, reasons and figures are for those who may read; a probe has no secret."""
    (maingate,) = ready.site.repositories.values()
    secret = maingate.tokens.create("prometheus", Role.VIEWER, operator="ada").text
    with ready.client() as client, ready.client(secret) as scraper:
        for path in ("/health", "/health/live", "/health/ready"):
            assert client.get(path).status_code == 200
        for path in ("/health/detailed", "/metrics"):
            assert problem(client.get(path)) == (401, "unauthenticated")
            assert scraper.get(path).status_code == 200


# -- metrics -----------------------------------------------------------------------------------------------


def test_a_scrape_has_the_figures_of_the_record(client: httpx.Client, played: Played) -> None:
    """With the name of the repository in this server."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    samples = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    patches = [task["patch"] for task in played.report["tasks"] if task["patch"] is not None]
    landed = sum(patch["state"] == "committed" for patch in patches)
    labels = frozenset({("repository", "tally")})
    assert samples["maingate_patches_landed_total", labels] == landed > 0


def test_a_scraper_that_asks_for_openmetrics_gets_it(client: httpx.Client) -> None:
    """As Prometheus does."""
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
    answer = client.get("/metrics", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")


def test_a_caller_sees_the_repositories_that_it_may_read(
    played: Played, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A token holds in the repositories in whose record it is; of the others not even the name is told."""
    paths = [played.copy_to(tmp_path_factory.mktemp(name)) for name in ("one", "two")]
    with served(paths) as server:
        one, _ = server.site.repositories.values()
        secret = one.tokens.create("viewer", Role.VIEWER, operator="ada").text
        with server.client(secret) as client:
            assert "tally-2" not in client.get("/metrics").text
            checks = client.get("/health/detailed").json()["checks"]
            assert {check["repository"] for check in checks} == {"tally"}
