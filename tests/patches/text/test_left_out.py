"""Messages of `diff -r` about what it left out."""

import pytest

from support.diff_world import refusal, taken

PART = b"diff -ru a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n"
OTHER = PART.replace(b"f\n", b"g\n").replace(b"/f b", b"/g b")
MESSAGES = [
    "Only in b: new",
    "Uniquement dans b: new",
    "b のみに存在: new",
    "Binary files a/x and b/x differ",
    "Binärdateien a/x und b/x sind verschieden.",
    "Les fichiers binaires a/x et b/x sont différents",
    "File a/x is a regular file while file b/x is a directory",
    "Symbolic links a/l and b/l differ",
    "Dateien a/l und b/l sind verschieden.",
]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_beside_real_changes_is_refused(message: str) -> None:
    """In any language, between two parts and behind the last; with advice."""
    line = message.encode() + b"\n"
    for text in (PART + line, PART + line + OTHER, PART + OTHER + line + line):
        assert "; make the diff with" in refusal(text).message


@pytest.mark.parametrize(
    "line",
    [
        b"Cannot display: file marked as a binary type.\nsvn:mime-type = application/octet-stream\n",
        b"Binary file logo.png has changed\n",
    ],
)
def test_messages_of_other_programs_are_refused(line: bytes) -> None:
    """Subversion and Mercurial leave out the data of binary files, too."""
    part = PART.replace(b"diff -ru a/f b/f\n", b"Index: f\n")
    for text in (part + line, line + part):
        assert "git diff --binary" in refusal(text).message


@pytest.mark.parametrize("behind", [b"", b"\nRegards\n", b"-- \n2.39\n", b"```\nDone.\n"])
def test_words_apart_from_a_recursive_diff_are_words(behind: bytes) -> None:
    """A blank line, a signature or the end of a code fence ends it."""
    assert taken(b"My change:\n" + PART + OTHER + behind).scope.paths == (b"f", b"g")
