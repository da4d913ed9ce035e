"""One item never stops the others: whatever is wrong with it, the rest of the run lands."""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from maingate.bootstrap import Maingate
from maingate.commits import LandingInput
from maingate.db.audit.record_check import verify
from maingate.errors import GitError, OutsideFaultError
from maingate.git import private_git
from maingate.ids import RunId
from maingate.orchestrator.core.effect_inputs import PatchInput, TaskInput
from maingate.orchestrator.core.effects import BuildChain, CarMember, ChainLink, LandCar
from maingate.orchestrator.shell import evidence, failed_effects
from maingate.orchestrator.shell.landing_effects import LandingEffects
from maingate.orchestrator.shell.patch_effects import PatchEffects
from maingate.orchestrator.shell.shared_resources import SharedResources
from maingate.plan.loader import load_plan
from maingate.uet.executor import Executor
from maingate.uet.step_values import Order, Piece
from support.crashing import KILLED, World, end_of
from support.factories import GitRepo
from support.landing import Landed, land, one_each, write_plan

GOOD = ("g0", "g1", "g2", "g3")
LONG = "n" * 300
DEEP = "/".join(["d" * 200] * 25)


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what fails tried again at once."""
    monkeypatch.setattr(failed_effects, "PAUSE", 0.001)


@pytest.fixture
def base(repo: GitRepo) -> GitRepo:
    """Give a repository with a few files."""
    repo.commit({"f.txt": "one\ntwo\nthree\n", "other.txt": "x\n"}, "base")
    return repo


def adding(name: str, text: str = "x") -> bytes:
    """Make a patch that adds a file of one line; the name is as it is written in a diff."""
    quoted = ('"a/{0}" "b/{0}"' if "\\" in name else "a/{0} b/{0}").format(name)
    shown = f'"b/{name}"' if "\\" in name else f"b/{name}"
    return (
        f"diff --git {quoted}\nnew file mode 100644\n--- /dev/null\n+++ {shown}\n@@ -0,0 +1 @@\n+{text}\n"
    ).encode()


def run(
    repo: GitRepo,
    bad: Mapping[str, Any],
    patches: Mapping[str, bytes],
    *,
    critical: bool = False,
    admitted: Callable[[Path], object] = lambda _: None,
    **plan: Any,
) -> Landed:
    """Land good patches with something bad among them; let something happen when the run was admitted."""
    good = {name: adding(f"{name}.txt") for name in GOOD}
    streams = one_each(good)
    described = {
        "repo": str(repo.path),
        "target": "main",
        "workstreams": {
            "g0": streams.pop("g0"),
            "bad": {"critical": critical, "tasks": {"t": bad}},
            **streams,
        },
        **plan,
    }
    path = write_plan(repo.path.parent / "plan", described, {**good, **patches})
    loaded = load_plan(path)
    with Maingate.for_plan(loaded) as maingate:
        run_id = maingate.admission.admit(loaded)
        admitted(path.parent)
        maingate.execution.execute(run_id, workers=2)
        return Landed(maingate.report(run_id), repo)


def check_the_good_have_landed(landed: Landed) -> None:
    """Every good workstream is on the branch."""
    there = landed.repo.git("ls-tree", "--name-only", "main").splitlines()
    assert [name for name in GOOD if f"{name}.txt" not in there] == []


GATE: dict[str, Any] = {"gates": {"unit": {"run": "true"}}}
NAMES = {"long": LONG, "deep": DEEP, "newline": "a\\nb", "bytes": "\\377\\201"}


@pytest.mark.parametrize("critical", [True, False])
@pytest.mark.parametrize("name", [LONG, DEEP], ids=["long", "deep"])
def test_a_name_that_no_worktree_can_hold_ends_its_task(base: GitRepo, name: str, critical: bool) -> None:
    """Its gates cannot be asked: nobody is blamed, and the message is no longer than people read."""
    landed = run(base, {"patch": "bad"}, {"bad": adding(name)}, critical=critical, **GATE)
    check_the_good_have_landed(landed)
    assert landed.state == ("failed" if critical else "succeeded")
    assert (landed.code("bad/t"), landed.patch_state("bad/t")) == ("worktree_failed", "dropped")
    assert len(landed.task("bad/t")["reason"]["message"]) < 1500


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_that_is_odd_keeps_nothing_from_landing(base: GitRepo, name: str) -> None:
    """Where no gate looks at it, and the branch is checked out; one that fits lands itself."""
    landed = run(base, {"patch": "bad"}, {"bad": adding(name)})
    check_the_good_have_landed(landed)
    if name in {LONG, DEEP}:
        assert landed.code("bad") == "path_unusable"
    else:
        assert landed.state == "succeeded"
    assert base.git("status", "--porcelain") == ""


def _be_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _be_a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _be_a_loop(file: Path) -> None:
    file.unlink()
    file.symlink_to(file)


UNREADABLE: dict[str, Callable[[Path], None]] = {
    "gone": Path.unlink,
    "a folder": _be_a_folder,
    "a pipe": _be_a_pipe,
    "a loop": _be_a_loop,
}


@pytest.mark.parametrize("spoil", UNREADABLE.values(), ids=UNREADABLE)
def test_a_patch_that_cannot_be_read_ends_its_task(base: GitRepo, spoil: Callable[[Path], None]) -> None:
    """It was there when the run was admitted."""
    landed = run(
        base, {"patch": "bad"}, {"bad": adding("b.txt")}, admitted=lambda folder: spoil(folder / "bad")
    )
    check_the_good_have_landed(landed)
    assert landed.code("bad/t") == "patch_unreadable"


def test_an_object_that_is_missing_ends_what_needs_it(base: GitRepo) -> None:
    """A blob of the target is damaged: only who changes that file cannot go on."""
    blob = base.git("rev-parse", "main:f.txt")
    patch = base.diff_of({"f.txt": "one\n2\nthree\n"})
    base.git("checkout", "-q", "--detach")
    (base.path / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    landed = run(base, {"patch": "bad"}, {"bad": patch})
    check_the_good_have_landed(landed)
    assert landed.workstream("bad")["state"] == "failed"
    assert blob[:7] in str(landed.workstream("bad")["reason"])


CRASHING = """#!/bin/sh
case " $* " in
*" apply "*)
  cat > {folder}/input.$$
  if grep -q EVIL {folder}/input.$$; then kill -SEGV $$; fi
  exec {git} "$@" < {folder}/input.$$;;
esac
exec {git} "$@"
"""


def test_a_diff_that_makes_git_crash_ends_its_task(
    base: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever git makes of others."""
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(CRASHING.format(folder=tmp_path, git=shutil.which("git")))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    landed = run(base, {"patch": "bad"}, {"bad": adding("bad.txt", "EVIL")})
    check_the_good_have_landed(landed)
    assert landed.code("bad/t") is not None


FAULTS: list[Exception] = [
    MemoryError(),
    RecursionError("too deep"),
    RuntimeError("a mistake"),
    OSError(36, "File name too long"),
    GitError("git said no"),
    UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed"),
]


@pytest.mark.parametrize("what", ["take_again", "apply", "_merged", "land", "_piece"])
def test_whatever_fails_with_one_item_ends_that_alone(
    base: GitRepo, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """A mistake of the program's own too: it is the item that comes back each time, here several at once."""
    owners: list[Any] = [Executor, LandingEffects, PatchEffects]
    owner = next(each for each in owners if hasattr(each, what))
    real = getattr(owner, what)
    faults = {type(fault).__name__: fault for fault in FAULTS}

    def spoilt(self: Any, *args: Any, **rest: Any) -> Any:
        for name in sorted(faults.keys() & _names_in(args)):
            raise faults[name]
        return real(self, *args, **rest)

    monkeypatch.setattr(owner, what, spoilt)
    landed = _run_with_faults(base, sorted(faults))
    check_the_good_have_landed(landed)
    assert landed.state == "succeeded"
    assert {name: landed.workstream(name)["state"] for name in faults} == dict.fromkeys(faults, "failed")
    codes = dict.fromkeys(faults, "internal_fault") | {"OSError": "path_unusable", "GitError": "git_failed"}
    assert {name: landed.code(name) for name in faults} == codes
    states = {name: landed.patch_state(f"{name}/t") for name in faults}
    assert {name: state for name, state in states.items() if state not in {None, "dropped"}} == {}
    with Maingate.open(base.path, create=False) as maingate:
        assert verify(maingate.database, log=maingate.paths.transitions).is_intact


def _run_with_faults(repo: GitRepo, names: list[str]) -> Landed:
    """Land the good patches with others among them that are named for the faults they meet."""
    patches = {name: adding(f"{name}.txt") for name in (GOOD[0], *names, *GOOD[1:])}
    streams = {
        name: {"critical": name in GOOD, "tasks": stream["tasks"]}
        for name, stream in one_each(patches).items()
    }
    return land(repo, patches, workstreams=streams)


def _names_in(values: Any) -> set[str]:
    """Find the workstreams that a call is about."""
    names = set()
    for value in values:
        match value:
            case (
                Order(label=label) | Piece(order=Order(label=label)) | PatchInput(task=TaskInput(label=label))
            ):
                names.add(label.split("/")[0])
            case ChainLink(input=LandingInput(name=name)) | CarMember(name=name):
                names.add(name)
            case BuildChain(links=links):
                names |= _names_in(links)
            case LandCar(members=members):
                names |= _names_in(members)
            case list() | tuple():
                names |= _names_in(value)
    return names


def test_everything_fails_is_nobodys_fault(base: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where what is tried without any item fails too, the run stops, and goes on when it does not."""
    monkeypatch.setattr(Executor, "take_again", _fail)
    monkeypatch.setattr(SharedResources, "_try_git", _fail)
    with pytest.raises(OutsideFaultError, match="no luck today"):
        run(base, {"patch": "bad"}, {"bad": adding("b.txt")})
    monkeypatch.undo()
    with Maingate.open(base.path, create=False) as maingate:
        (interrupted,) = maingate.execution.interrupted()
        maingate.execution.execute(RunId(interrupted.id), workers=2)
        landed = Landed(maingate.report(RunId(interrupted.id)), base)
    assert landed.state == "succeeded"
    check_the_good_have_landed(landed)


def _fail(*_: object, **__: object) -> None:
    raise GitError("no luck today")


def test_the_evidence_of_a_refused_patch_that_cannot_be_written_stops_nothing(
    base: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record has the patch; the run says that its file is missing, and the next start writes it."""
    monkeypatch.setattr(evidence, "keep", _fail)
    landed = run(base, {"patch": "bad"}, {"bad": b"no patch\n"})
    check_the_good_have_landed(landed)
    assert landed.code("bad/t") == "format_invalid"
    assert not list((base.path / ".git" / "maingate" / "quarantine").glob("*.json"))


def test_what_is_in_the_way_of_one_keeps_no_other_from_landing(tmp_path: Path) -> None:
    """A file of the person's ends one workstream; once it is away, the patch lands by `patch recover`."""
    world = World.create(tmp_path / "world", {"f.txt": "f\n"})
    patches = {"bad": adding("notes.txt"), "good": adding("good.txt")}
    world.write_plan(patches, workstreams=one_each(patches))
    (world.repo.path / "notes.txt").write_text("mine\n")
    assert world.run().ended() == 1
    (bad,) = [task for task in world.report()["tasks"] if task["name"] == "bad/t"]
    assert bad["reason"]["code"] == "checkout_blocked"
    assert "notes.txt" in bad["reason"]["message"]
    assert world.repo.git("ls-tree", "--name-only", "main").split() == ["f.txt", "good.txt"]
    assert (world.repo.path / "notes.txt").read_text() == "mine\n"
    (world.repo.path / "notes.txt").unlink()
    assert world.start("patch", "recover", bad["patch"]["id"]).ended() == 0
    assert world.repo.git("ls-tree", "--name-only", "main").split() == ["f.txt", "good.txt", "notes.txt"]


def test_what_comes_in_the_way_of_one_later_can_be_left_by_ending_that(tmp_path: Path) -> None:
    """A file of the person's keeps one workstream from landing: the run names it, and goes on without it."""
    world = World.create(tmp_path / "world", {"f.txt": "f\n"})
    patches = {"bad": adding("notes.txt"), "good": adding("good.txt")}
    put = f"echo mine > {world.repo.path}/notes.txt"
    world.write_plan(patches, workstreams=one_each(patches), gates={"unit": {"run": put, "on": ["task"]}})
    run = world.run()
    assert run.ended() == 4
    for _ in range(2):
        again = world.resume()
        assert again.ended() == 4
        assert "notes.txt" in again.said
    bad = world.report()["workstreams"][0]
    assert f"maingate cancel {bad['id']}" in again.said
    assert world.start("cancel", bad["id"]).ended() == 0
    assert world.resume().ended() == 1
    assert world.repo.git("ls-tree", "--name-only", "main").split() == ["f.txt", "good.txt"]
    assert (world.repo.path / "notes.txt").read_text() == "mine\n"


@pytest.mark.parametrize("place", ["landing.before-ref", "landing.after-ref"])
def test_what_takes_the_process_along_each_time_is_given_up(tmp_path: Path, place: str) -> None:
    """After `lost_attempts` lives; what it had landed it has landed, and the others go on."""
    world = World.create(tmp_path / "world", {"f.txt": "f\n"})
    world = World(folder=world.folder, environment={"MAINGATE_LOST_ATTEMPTS": "3"})
    patches = {"bad": adding("bad.txt"), "good": adding("good.txt")}
    world.write_plan(
        patches,
        workstreams={name: {"critical": False, "tasks": {"t": {"patch": name}}} for name in patches},
    )
    deadly = {"fault": f"{place}@1"}
    assert world.run(**deadly).ended() == KILLED
    if place == "landing.before-ref":
        assert [world.resume(**deadly).ended() for _ in range(2)] == [KILLED, KILLED]
    assert end_of(world, world.finish()).code == 0
    bad, good = world.report()["workstreams"]
    assert good["state"] == "completed"
    if place == "landing.before-ref":
        assert (bad["state"], bad["reason"]["code"]) == ("failed", "process_lost")
    else:
        assert bad["state"] == "completed"
    assert not list((world.repo.path / ".git" / "maingate" / "logs").glob("*.in-hand"))


def test_evidence_that_cannot_be_written_again_keeps_nobody_from_starting(base: GitRepo) -> None:
    """A folder lies where the file of a refused patch belongs."""
    landed = run(base, {"patch": "bad"}, {"bad": b"no patch\n"})
    patch = landed.task("bad/t")["patch"]["id"]
    folder = base.path / ".git" / "maingate" / "quarantine"
    (folder / f"{patch}.json").unlink()
    (folder / f"{patch}.patch").unlink()
    (folder / f"{patch}.patch").mkdir()
    again = run(base, {"patch": "bad"}, {"bad": b"no patch\n"}, target="main")
    assert again.code("bad/t") == "format_invalid"


HANGING = """#!/bin/sh
case " $* " in
*" apply "*) cat > {folder}/input.$$; if grep -q EVIL {folder}/input.$$; then exec sleep 600; fi
  exec {git} "$@" < {folder}/input.$$;;
esac
exec {git} "$@"
"""


def test_a_diff_that_makes_git_hang_ends_its_task(
    base: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not waited for for ever."""
    monkeypatch.setattr(private_git, "GIT_TIMEOUT", 1.0)
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(HANGING.format(folder=tmp_path, git=shutil.which("git")))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    landed = run(base, {"patch": "bad"}, {"bad": adding("bad.txt", "EVIL")})
    check_the_good_have_landed(landed)
    assert landed.code("bad/t") == "git_failed"
