"""A site has repositories by name, and knows which of them an entity belongs to."""

import os
from pathlib import Path

import pytest

from maingate.bootstrap import Maingate
from maingate.errors import DatabaseError, OutsideFaultError, RepositoryError, UnknownEntityError, UsageError
from maingate.plan.loader import load_plan
from maingate.server.served_repositories import Phase, Site
from support.factories import GitRepo
from support.landing import write_plan


@pytest.fixture
def two(tmp_path: Path) -> tuple[GitRepo, GitRepo]:
    """Give two repositories whose folders have the same name."""
    repos = (GitRepo.create(tmp_path / "one" / "web"), GitRepo.create(tmp_path / "other" / "web"))
    for repo in repos:
        repo.commit({"a.txt": "1\n"})
    return repos


def test_repositories_are_named_after_their_folders_and_open_once(two: tuple[GitRepo, GitRepo]) -> None:
    """A second folder of a name gets a number; a second path into a repository changes nothing."""
    one, other = two
    with Site.open([one.path, other.path, one.path / ".git"]) as site:
        assert site.phase is Phase.STARTING
        assert {name: each.repository.root for name, each in site} == {"web": one.path, "web-2": other.path}
        assert site["web-2"].repository.root == other.path
        with pytest.raises(UnknownEntityError, match=r"no repository 'api'; it has web, web-2"):
            site["api"]


def test_a_bare_repository_is_named_without_git(tmp_path: Path) -> None:
    """The name is that of a clone."""
    repo = GitRepo.create(tmp_path / "tally")
    repo.commit({"a.txt": "1\n"})
    repo.git("clone", "-q", "--bare", ".", str(tmp_path / "store.git"))
    with Site.open([tmp_path / "store.git"]) as site:
        assert [name for name, _ in site] == ["store"]


def test_a_repository_in_a_folder_whose_name_is_no_text_is_served(tmp_path: Path) -> None:
    """Its name can be asked for, and is a label of metrics."""
    from maingate.monitoring.metrics import metrics_text, registry_of  # noqa: PLC0415 - loads much

    repo = GitRepo.create(Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")))
    repo.commit({"a.txt": "1\n"})
    with Site.open([repo.path]) as site:
        [(name, maingate)] = site
        assert name == r"caf\xe9"
        text, _ = metrics_text(registry_of({name: maingate.context}))
    assert rb'maingate_record_up{repository="caf\\xe9"} 1.0' in text


def test_an_entity_is_found_beside_a_record_that_cannot_be_read(
    two: tuple[GitRepo, GitRepo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that no other record has may be in that one."""

    def failing() -> None:
        raise DatabaseError("gone")

    one, other = two
    plan = {"repo": str(other.path), "workstreams": {"w": {"tasks": {"t": {"command": "true"}}}}}
    file = write_plan(tmp_path / "plan", plan, {})
    with Site.open([one.path, other.path]) as site:
        run_id = site["web-2"].admission.admit(load_plan(file))
        monkeypatch.setattr(site["web"].database, "read", failing)
        assert site.find(run_id)[0] == "web-2"
        with pytest.raises(DatabaseError):
            site.find("run_01ARZ3NDEKTSV4RRFFQ69G5FAV")


def test_a_site_of_which_no_repository_can_be_opened_is_refused_with_all_reasons(tmp_path: Path) -> None:
    """The error names the paths, or the way to name one."""
    with pytest.raises(UsageError, match="--repo PATH"):
        Site.open([])
    with pytest.raises(RepositoryError, match="nowhere does not exist"):
        Site.open([tmp_path / "nowhere"])
    with pytest.raises(UsageError, match=r"(?s)none of the.*nowhere does not exist.*other does not exist"):
        Site.open([tmp_path / "nowhere", tmp_path / "other"])


def test_a_repository_that_cannot_be_opened_is_absent_until_it_can(
    two: tuple[GitRepo, GitRepo], tmp_path: Path
) -> None:
    """It keeps its name, counts once by whichever path, and an entity that is not found may be in it."""
    one, other = two
    away, link = tmp_path / "away", tmp_path / "link"
    one.path.rename(away)
    link.symlink_to(one.path)
    with Site.open([one.path, link, other.path]) as site:
        assert ([name for name, _ in site], list(site.absent)) == (["web-2"], ["web"])
        [unserved] = site.unserved()
        assert (unserved.path, str(unserved.error)) == (one.path, f"{one.path} does not exist")
        site.open_absent()
        assert list(site.absent) == ["web"]
        for ask in (lambda: site["web"], lambda: site.find("run_01ARZ3NDEKTSV4RRFFQ69G5FAV")):
            with pytest.raises(OutsideFaultError, match="cannot open the repository 'web' now"):
                ask()
        away.rename(one.path)
        site.open_absent()
        assert ({name for name, _ in site}, site.unserved()) == ({"web", "web-2"}, [])
        assert site["web"].repository.root == one.path


def test_an_absent_repository_that_turns_out_to_be_served_already_is_dropped(
    two: tuple[GitRepo, GitRepo], tmp_path: Path
) -> None:
    """Such as a second path into it that was not there yet."""
    link = tmp_path / "link"
    with Site.open([link, two[0].path]) as site:
        link.symlink_to(two[0].path)
        site.open_absent()
        assert ([name for name, _ in site], site.unserved()) == (["web"], [])


@pytest.mark.parametrize("is_shared", [False, True], ids=["a database each", "one database"])
def test_an_entity_is_found_in_the_repository_of_its_run(
    two: tuple[GitRepo, GitRepo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_shared: bool
) -> None:
    """A shared database has the entities of all repositories; the run of each says whose it is."""
    if is_shared:
        monkeypatch.setenv("MAINGATE_DATABASE_URL", f"sqlite:///{tmp_path}/shared.db")
    with Site.open([each.path for each in two]) as site:
        ids = {name: _admit(each, tmp_path / f"{name}.plan") for name, each in site}
        for name, maingate in site:
            for entity in ids[name]:
                assert site.find(entity) == (name, maingate)
                assert site.find(entity.lower()) == (name, maingate)
        with pytest.raises(UnknownEntityError):
            site.find("run_01ARZ3NDEKTSV4RRFFQ69G5FAV")
        with pytest.raises(UnknownEntityError):
            site.find("web")


def _admit(maingate: Maingate, folder: Path) -> list[str]:
    """Admit a plan, and return the ids of its run, workstream and task."""
    plan = {"repo": str(maingate.repository.root), "workstreams": {"w": {"tasks": {"t": {"noop": True}}}}}
    run_id = maingate.admission.admit(load_plan(write_plan(folder, plan, {})))
    report = maingate.report(run_id)
    return [run_id, *(each["id"] for each in (*report["workstreams"], *report["tasks"]))]
