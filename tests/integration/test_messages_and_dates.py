"""Messages, authors and dates of commits that land: as they were, or told in the ledger."""

import re

import pytest

from support.factories import GitRepo
from support.landing import land


@pytest.fixture
def base(repo: GitRepo) -> GitRepo:
    """Give a repository with a file."""
    repo.commit({"f.txt": "one\n"}, "base")
    return repo


@pytest.mark.parametrize(
    "message",
    [
        "subject  \n\n\n\nbody\t\n-- \nnot a signature\n",
        "carriage\r\nreturns\r\n",
        "\nlate subject\n",
        "# no comment\n\nSigned-off-by: A <a@b>\n",
        "ends\n\n\n",
    ],
)
@pytest.mark.parametrize("style", ["rebase", "squash"])
def test_a_message_lands_byte_for_byte(base: GitRepo, message: str, style: str) -> None:
    """Only trailers follow it."""
    diff = {"p": base.diff_of({"f.txt": "two\n"})}
    tasks = {"t": {"patch": "p", "message": message, "author": "Ada <ada@example.org>"}}
    assert land(base, diff, workstreams={"w": {"tasks": tasks}}, landing=style).state == "succeeded"
    stored = base.git_bytes("cat-file", "commit", "main").partition(b"\n\n")[2]
    assert stored.startswith(message.encode())
    rest = stored.removeprefix(message.encode()).decode()
    assert all(re.fullmatch(r"|Maingate-[A-Z][a-z]+: \S+", line) for line in rest.split("\n"))


@pytest.mark.parametrize(
    ("date", "kept", "told"),
    [
        ("253402300800 +0000", "253402300800 +0000", None),
        ("1700000000 +9959", "1700000000 +9959", None),
        ("1700000000 +051800", "1700000000 +0518", "the zone +051800 has seconds: +0518"),
        ("-5 +0000", None, "the date -5 +0000 is before 1970, which git cannot keep: the time of the commit"),
        ("1960-05-06T00:00:00Z", None, "the date 1960-05-06 00:00:00+00:00 is before 1970, which"),
    ],
)
def test_a_date_is_kept_or_told_in_the_ledger(
    base: GitRepo, date: str, kept: str | None, told: str | None
) -> None:
    """What git cannot keep of a date is among the repairs of its patch."""
    diff = {"p": base.diff_of({"f.txt": "two\n"})}
    tasks = {"t": {"patch": "p", "message": "s", "author": "Ada <>", "date": date}}
    landed = land(base, diff, workstreams={"w": {"tasks": tasks}}, landing="rebase")
    stored = base.git_bytes("cat-file", "commit", "main").decode()
    found = re.search(r"^author Ada <> (\d+ [+-]\d+)$", stored, re.MULTILINE)
    assert found is not None
    assert kept is None or found[1] == kept
    repairs = [each["message"] for each in landed.task("w/t")["patch"]["repairs"] if each["kind"] == "date"]
    assert [each.startswith(told) for each in repairs if told] == [True] * bool(told)
    assert len(repairs) == bool(told)


def test_a_mails_date_that_git_cannot_keep_is_told(base: GitRepo) -> None:
    """A patch that is a mail is no other than one whose plan has the date."""
    head = b"From: Ada <ada@example.org>\nDate: Thu, 31 Dec 1959 23:59:59 +0000\nSubject: s\n\n---\n"
    landed = land(base, {"p": head + base.diff_of({"f.txt": "two\n"})}, landing="rebase")
    (repair,) = landed.task("p/t")["patch"]["repairs"]
    assert (repair["kind"], repair["from"], repair["to"]) == ("date", "-315619201 +0000", None)
    assert base.git("log", "-1", "--format=%an: %s", "main") == "Ada: s"
