"""Files that a patch may be merged by: the outcome must not depend on other objects of the store."""

from collections.abc import Callable

import pytest

from maingate.git.repository import Repository
from maingate.patches.apply.expected import blob_id
from maingate.patches.apply.outcomes import Applied, ApplyMethod, NotApplied
from maingate.patches.apply.preimages import Preimages
from maingate.patches.intake import Intake, take_in
from maingate.reasons import ReasonCode
from support.applying import apply_patch
from support.factories import GitRepo

NUMBERED = [f"line {number}\n" for number in range(40)]
LINES = "".join(NUMBERED)


def with_lines(**new: str) -> str:
    """Return the numbered lines with some replaced: ``l3="x"`` puts x in place of line 3."""
    texts = {int(name[1:]): text + "\n" for name, text in new.items()}
    return "".join(texts.get(number, line) for number, line in enumerate(NUMBERED))


def taken(diff: bytes) -> Intake:
    """Take in a diff that is in order."""
    intake = take_in(diff, max_bytes=1 << 20)
    assert isinstance(intake, Intake), intake
    return intake


@pytest.fixture(name="opened")
def _opened(repo: GitRepo) -> Repository:
    repo.commit({"a": LINES, "b": "b\n"}, "base")
    return Repository.open(repo.path)


def in_a_stash(repo: GitRepo, content: str) -> None:
    """Store a content in a stash."""
    repo.write({"a": content})
    repo.git("stash", "-q")


def on_another_branch(repo: GitRepo, content: str) -> None:
    """Commit a content where the target does not have it."""
    repo.git("checkout", "-q", "-b", "other")
    repo.commit({"a": content})
    repo.git("checkout", "-q", "main")


def dangling(repo: GitRepo, content: str) -> None:
    """Store a content that nothing refers to, as a refused patch does."""
    repo.git("hash-object", "-w", "--stdin", stdin=content.encode())


def at_another_path(repo: GitRepo, content: str) -> None:
    """Commit a content in another file only."""
    repo.commit({"elsewhere": content})


ELSEWHERE = [in_a_stash, on_another_branch, dangling, at_another_path]


def made_on_what_never_landed(repo: GitRepo) -> tuple[bytes, str]:
    """Return a patch on a state that the target never had: only a merge could know where it goes."""
    draft = with_lines(l18="draft")
    base = repo.head()
    repo.commit({"a": draft})
    diff = repo.diff_of({"a": with_lines(l18="draft", l20="x")})
    repo.git("reset", "-q", "--hard", base)
    repo.git("reflog", "expire", "--expire=now", "--all")
    repo.git("gc", "-q", "--prune=now")
    return diff, draft


@pytest.mark.parametrize("put", ELSEWHERE, ids=lambda put: put.__name__)
def test_a_blob_that_is_not_of_the_history_decides_nothing(
    repo: GitRepo, opened: Repository, put: Callable[[GitRepo, str], None]
) -> None:
    """With it in the object store the outcome is the one without it."""
    diff, draft = made_on_what_never_landed(repo)
    before = apply_patch(opened, repo.tree(), taken(diff))
    assert isinstance(before, NotApplied)
    assert before.reason.code is ReasonCode.CONFLICT
    put(repo, draft)
    assert opened.has_object(blob_id(draft.encode()))
    after = apply_patch(opened, repo.tree(), taken(diff))
    assert isinstance(after, NotApplied)
    assert after.reason.code is ReasonCode.CONFLICT


def test_a_side_of_the_history_that_a_merge_threw_away_counts(repo: GitRepo, opened: Repository) -> None:
    """Every clone of the target has it, though no path of the history leads there by content."""
    repo.git("checkout", "-q", "-b", "side")
    repo.commit({"a": with_lines(l18="side")})
    diff = repo.diff_of({"a": with_lines(l18="side", l20="x")})
    repo.git("checkout", "-q", "main")
    repo.commit({"b": "more\n"})
    repo.git("merge", "-q", "-s", "ours", "side")
    outcome = apply_patch(opened, repo.tree(), taken(diff))
    assert isinstance(outcome, Applied)
    assert outcome.method is ApplyMethod.THREE_WAY
    assert opened.read_blob(opened.entry_at(outcome.tree, b"a").id).decode() == with_lines(l20="x")  # type: ignore[union-attr]


def test_what_only_a_merge_itself_made_counts(repo: GitRepo, opened: Repository) -> None:
    """A merge may hold what none of its parents has."""
    repo.git("checkout", "-q", "-b", "side")
    repo.commit({"b": "side\n"})
    repo.git("checkout", "-q", "main")
    repo.git("merge", "-q", "--no-ff", "--no-commit", "side")
    repo.commit({"a": with_lines(l18="of the merge")})
    diff = repo.diff_of({"a": with_lines(l18="of the merge", l20="x")})
    repo.commit({"a": with_lines(l18="later")})
    outcome = apply_patch(opened, repo.tree(), taken(diff))
    assert isinstance(outcome, Applied)
    assert outcome.method is ApplyMethod.THREE_WAY


def test_what_the_patch_holds_whole_counts(repo: GitRepo, opened: Repository) -> None:
    """A patch whose hunk goes from the first line to the last says itself what it was made on."""
    base = repo.head()
    repo.commit({"a": with_lines(l18="draft")})
    diff = repo.diff_of({"a": with_lines(l18="draft", l20="x")}, "-U50")
    repo.git("reset", "-q", "--hard", base)
    repo.git("reflog", "expire", "--expire=now", "--all")
    repo.git("gc", "-q", "--prune=now")
    outcome = apply_patch(opened, repo.tree(), taken(diff))
    assert isinstance(outcome, Applied)
    assert outcome.method is ApplyMethod.THREE_WAY


def test_ids_that_others_made_ambiguous_mean_what_they_meant(repo: GitRepo, opened: Repository) -> None:
    """An abbreviated id means the blob of this path, however many objects of others begin alike."""
    diff = repo.diff_of({"a": with_lines(l20="x")})
    short = blob_id(LINES.encode())[:4]
    diff = diff.replace(blob_id(LINES.encode()).encode(), short.encode())
    repo.commit({"a": with_lines(l18="later")})
    wanted = apply_patch(opened, repo.tree(), taken(diff))
    assert isinstance(wanted, Applied)
    assert wanted.method is ApplyMethod.THREE_WAY
    like = next(text for n in range(1 << 22) if blob_id(text := b"%d" % n).startswith(short))
    opened.write_blob(like)
    assert len(opened.blobs_like(short)) == 2
    assert apply_patch(opened, repo.tree(), taken(diff)) == wanted


def test_a_blob_that_is_not_what_the_hunks_say_decides_nothing(repo: GitRepo, opened: Repository) -> None:
    """An `index` line that names another state of the file is a mistake; its lines are what counts."""
    repo.commit({"a": "an older state\n" + LINES})
    older = blob_id(("an older state\n" + LINES).encode())
    repo.commit({"a": LINES})
    diff = repo.diff_of({"a": with_lines(l20="x")})
    wrong = diff.replace(blob_id(LINES.encode()).encode(), older.encode())
    repo.commit({"a": "first\n" + LINES})
    outcome = apply_patch(opened, repo.tree(), taken(wrong))
    assert isinstance(outcome, Applied)
    assert outcome.method is ApplyMethod.OFFSET
    [change] = taken(wrong).files
    history = Preimages(opened, repo.head())
    assert (history.named(change), history.agreeing(change)) == (older, None)


def test_history_is_not_asked_for_what_the_store_lacks(
    repo: GitRepo, opened: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A patch of somebody else's history costs no walk through this one."""
    diff, _ = made_on_what_never_landed(repo)
    [change] = taken(diff).files
    private = type(opened.private_git_dir())
    monkeypatch.setattr(private, "git", lambda *_: pytest.fail("git was asked"))
    assert Preimages(opened, repo.head()).agreeing(change) is None
