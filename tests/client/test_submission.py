"""Plans are read with the files that they name, and no others; all that cannot be read is told at once."""

from pathlib import Path

import pytest

from maingate.client.submission import read_submission
from maingate.errors import PlanError


def written(folder: Path, text: str, **files: bytes) -> Path:
    """Write a plan and files beside it."""
    for name, content in files.items():
        (folder / name).write_bytes(content)
    plan = folder / "plan.yaml"
    plan.write_text(text)
    return plan


def test_patches_and_prompts_come_along(tmp_path: Path) -> None:
    """Text as text, other bytes in base64; what the plan does not name stays."""
    text = "maingate: 1\nworkstreams: {w: {tasks: {a: {patch: a}, b: {prompt_file: ./b}, c: {noop: true}}}}\n"
    source = read_submission(written(tmp_path, text, a=b"\xff", b=b"hello", c=b"private"))
    assert source.as_json() == {"plan": text, "files": {"a": {"base64": "/w=="}, "b": "hello"}}


def test_what_cannot_be_sent_is_told_at_once(tmp_path: Path) -> None:
    """With the lines of the plan."""
    text = """\
maingate: 1
workstreams:
  w:
    tasks:
      a: {patch: gone}
      b: {patch: ../b}
      c: {patch: /etc/hostname}
"""
    with pytest.raises(PlanError) as refused:
        read_submission(written(tmp_path, text))
    assert [problem.line for problem in refused.value.problems] == [5, 6, 7]
    assert "copy it there" in refused.value.problems[1].message


@pytest.mark.parametrize("text", ["[]", "workstreams: 1", "workstreams: {w: {tasks: {t: 1}}}"])
def test_what_else_is_wrong_is_for_the_server_to_tell(tmp_path: Path, text: str) -> None:
    """A plan of any shape is sent as it is."""
    assert read_submission(written(tmp_path, text)).plan == text


def test_a_plan_that_is_not_there_is_told(tmp_path: Path) -> None:
    """As the command line does."""
    with pytest.raises(PlanError, match="cannot be read: no such file"):
        read_submission(tmp_path / "plan.yaml")
