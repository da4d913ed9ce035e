"""Commits as bytes: messages, trailers and people's names."""

from datetime import UTC, datetime

import pytest

from maingate.git.commits import Signature, commit_content, message_with_trailers, parse_commit

TRAILER = [("Maingate-Run", "run_1")]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("subject", "subject\n\nMaingate-Run: run_1\n"),
        ("subject\n\nbody\n\n\n", "subject\n\nbody\n\n\nMaingate-Run: run_1\n"),
        ("fix: a subject", "fix: a subject\n\nMaingate-Run: run_1\n"),
        ("s\n\nSigned-off-by: A <a@b>\n", "s\n\nSigned-off-by: A <a@b>\nMaingate-Run: run_1\n"),
        (
            "s\n\nnote: one\nand a sentence that goes on",
            "s\n\nnote: one\nand a sentence that goes on\n\nMaingate-Run: run_1\n",
        ),
        ("s\n\nlead\nSigned-off-by: A <a@b>", "s\n\nlead\nSigned-off-by: A <a@b>\nMaingate-Run: run_1\n"),
        ("s\n\nRef: 1\n  folded", "s\n\nRef: 1\n  folded\nMaingate-Run: run_1\n"),
        ("s\n\nMaingate-Run: run_1", "s\n\nMaingate-Run: run_1\n"),
        ("s\r\n\r\nbody \t\r\n", "s\r\n\r\nbody \t\r\n\nMaingate-Run: run_1\n"),
        ("\n\n\nlate\n\n\n\nsubject\0", "\n\n\nlate\n\n\n\nsubject\n\nMaingate-Run: run_1\n"),
        ("s\n\nb  \n-- \n", "s\n\nb  \n-- \n\nMaingate-Run: run_1\n"),
        (" \n", "(no message)\n\nMaingate-Run: run_1\n"),
    ],
    ids=[
        "subject",
        "body",
        "subject-like-a-trailer",
        "joins-a-block",
        "prose-with-a-colon",
        "mostly-sure-block",
        "folded",
        "said-already",
        "crlf",
        "blank-lines",
        "blanks-and-a-signature",
        "empty",
    ],
)
def test_trailers_end_the_message(message: str, expected: str) -> None:
    """Trailers stand in one block at the end, joined to one that is there, set apart from prose.

    The message itself stays as it is, byte for byte.
    """
    assert message_with_trailers(message, TRAILER) == expected.encode()


def test_a_trailer_is_one_line() -> None:
    """A value with newlines cannot forge a second trailer."""
    made = message_with_trailers("s", [("Maingate-Task", "a\nMaingate-Run: forged")])
    assert made == b"s\n\nMaingate-Task: a Maingate-Run: forged\n"


def test_names_cannot_break_out_of_their_line() -> None:
    """Characters that would end the name or the line in a commit are removed."""
    when = datetime(2026, 1, 2, tzinfo=UTC)
    assert Signature("E\nvil <x>", "a@b>\n", when).as_bytes() == b"Evil x <a@b> 1767312000 +0000"
    assert Signature("", "", when).as_bytes() == b"unknown <> 1767312000 +0000"


def test_a_commit_reads_back_as_written() -> None:
    """Parents in order, people and message byte for byte; headers of others (signatures) do not disturb."""
    content = commit_content(
        tree="1" * 40,
        parents=["2" * 40, "3" * 40],
        message=b"m\n\nn\n",
        author=b"A <a@b> 1 +0000",
        committer=b"C <c@d> 2 +0100",
    )
    signed = content.replace(
        b"\n\nm", b"\ngpgsig -----BEGIN\n tree junk\n -----END\nencoding latin-1\n\nm", 1
    )
    for given in (content, signed):
        commit = parse_commit("4" * 40, given)
        assert (commit.tree, commit.parents) == ("1" * 40, ("2" * 40, "3" * 40))
        assert (commit.message, commit.author, commit.committer) == (
            b"m\n\nn\n",
            b"A <a@b> 1 +0000",
            b"C <c@d> 2 +0100",
        )
