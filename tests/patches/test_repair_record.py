"""Nothing is done to a patch without being on record: each kind of repair, by the text that needs it."""

from collections.abc import Mapping
from typing import Any

import pytest

from maingate.git.repository import Repository
from maingate.patches.apply.outcomes import Applied
from maingate.patches.intake import Intake, take_in
from maingate.patches.repair_record import RepairKind
from support.applying import apply_patch
from support.factories import GitRepo

LINES = [f"line {number}\n" for number in range(1, 31)]
TEXT = "".join(LINES)
PLACE = b"@@ -17,7 +17,7 @@"
LATIN = b"Content-Type: text/plain; charset=iso-8859-1"
NEW = TEXT.replace("line 20\n", "twenty\n")


@pytest.fixture(name="opened")
def _opened(repo: GitRepo) -> Repository:
    repo.commit({"f": TEXT}, "base")
    return Repository.open(repo.path)


def plain(repo: GitRepo, *options: str) -> bytes:
    """Return a diff that is in order, without the ids of its blobs."""
    diff = repo.diff_of({"f": NEW}, *options)
    return b"".join(line for line in diff.splitlines(keepends=True) if line[:6] != b"index ")


def repairs_of(opened: Repository, tree: str, text: bytes) -> list[Mapping[str, Any]]:
    """Apply a text, which has to make the new file of it, and return what was done for that."""
    intake = take_in(text, max_bytes=1 << 20)
    assert isinstance(intake, Intake), intake
    outcome = apply_patch(opened, tree, intake)
    assert isinstance(outcome, Applied), outcome
    return [repair.as_json() for repair in outcome.repairs]


def mail(diff: bytes, *fields: bytes, message: bytes = b"Words.\n") -> bytes:
    """Return a mail with a diff."""
    head = b"".join(field + b"\n" for field in (b"From: A <a@example.org>", b"Subject: [PATCH] f", *fields))
    return head + b"\n" + message + b"---\n f | 2 +-\n\n" + diff + b"-- \n2.39.5\n\n"


def quoted_printable(text: bytes) -> bytes:
    """Encode the signs that matter."""
    return text.replace(b"=", b"=3D").replace(b"twenty", b"=74wenty")


def done(
    kind: str, was: Any = None, now: Any = None, *, file: str | None = "f", hunk: int | None = None
) -> dict:  # type: ignore[type-arg]
    """Return a repair without its sentence."""
    return {"kind": kind, "file": file, "hunk": hunk, "from": was, "to": now}


def test_a_patch_in_order_has_none(repo: GitRepo, opened: Repository) -> None:
    """Neither a plain one nor a mail."""
    for text in (plain(repo), repo.diff_of({"f": NEW}), mail(plain(repo))):
        assert repairs_of(opened, repo.tree(), text) == []


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda text: b"Here it is:\n```diff\n" + text + b"```\nEnjoy!\n", done("prose", 4, 0, file=None)),
        (lambda text: text.replace(b"a/f", b"i/f").replace(b"b/f", b"w/f"), done("prefix", "i/f", "f")),
        (
            lambda text: text.replace(PLACE, b"@@ -17,5 +17,5 @@"),
            done("counts", "5,5", "7,7", hunk=1),
        ),
        (lambda text: text.replace(PLACE, b"@@"), done("place", None, 17, hunk=1)),
        (lambda text: text.replace(b"\n", b"\r\n"), done("line_ends", "CRLF", "LF")),
        (lambda text: text.removesuffix(b"\n"), done("final_newline")),
        (
            lambda text: text.replace(PLACE, b"@@ -11,7 +11,7 @@"),
            done("offset", 11, 17, hunk=1),
        ),
        (
            lambda text: mail(quoted_printable(text), b"Content-Transfer-Encoding: quoted-printable"),
            done("transfer_encoding", "quoted-printable", file=None),
        ),
        (
            lambda text: mail(
                text, b"Content-Type: text/plain; charset=iso-8859-1", message=b"Gr\xfc\xdfe\n"
            ),
            done("charset", "iso-8859-1", "utf-8", file=None),
        ),
    ],
    ids=["prose", "prefix", "counts", "place", "line_ends", "final_newline", "offset", "transfer", "charset"],
)
def test_each_repair_is_on_record(repo: GitRepo, opened: Repository, damage: Any, expected: Any) -> None:
    """By kind, file and hunk, from what, and to what."""
    found = repairs_of(opened, repo.tree(), damage(plain(repo)))
    assert [{**repair, "message": ""} for repair in found] == [{**expected, "message": ""}]
    assert all(repair["message"] for repair in found)


def test_context_that_the_file_gave_is_on_record(repo: GitRepo, opened: Repository) -> None:
    """A diff without context is applied with what stands around its lines."""
    [repair] = repairs_of(opened, repo.tree(), plain(repo, "-U0"))
    assert (repair["kind"], repair["from"], repair["to"]) == ("context", 0, 6)


def test_empty_lines_that_lost_their_space_are_on_record(repo: GitRepo, opened: Repository) -> None:
    """Editors strip the space of an empty line of context."""
    repo.commit({"f": TEXT.replace("line 19\n", "\n")})
    diff = repo.diff_of({"f": NEW.replace("line 19\n", "\n")})
    [repair] = repairs_of(opened, repo.tree(), diff.replace(b"\n \n", b"\n\n"))
    assert (repair["kind"], repair["hunk"], repair["from"]) == ("blank_lines", 1, 1)


def test_a_merge_is_on_record_with_both_files(repo: GitRepo, opened: Repository) -> None:
    """The file that the patch was made on, and the one that was there."""
    diff, made_on = repo.diff_of({"f": NEW}), repo.git("rev-parse", "HEAD:f")
    repo.commit({"f": TEXT.replace("line 18\n", "changed\n")})
    [repair] = repairs_of(opened, repo.tree(), diff)
    assert (repair["kind"], repair["from"], repair["to"]) == (
        "three_way",
        made_on,
        repo.git("rev-parse", "HEAD:f"),
    )


def test_names_of_kinds_are_plain() -> None:
    """They are part of the public face."""
    assert all(str(kind) == kind.name.lower() for kind in RepairKind)
