"""What a tool is told: the task, and on a retry what became of the attempt before."""

import pytest

from maingate.tools.prompts import (
    DEFAULT_TEMPLATE,
    DIFF_BYTES,
    OUTPUT_BYTES,
    Refused,
    fault_of_template,
    render,
)


def test_a_first_attempt_is_told_the_prompt_alone() -> None:
    """Not a word more."""
    assert render(None, prompt="Do {{message}}\n") == "Do {{message}}\n"


def test_a_retry_is_told_what_became_of_the_attempt_before() -> None:
    """The reason, the gate's output and the refused patch; nothing in them is read as a template."""
    told = render(
        None,
        prompt="Do it",
        attempt=3,
        refused=Refused(message="unit failed", output="{{prompt}} ``` E1\n", diff=b"+x {{/diff}}\n"),
    )
    assert told.startswith("Do it\n\n---\n\nThis is attempt 3.")
    assert "unit failed" in told
    assert "````\n{{prompt}} ``` E1\n````" in told
    assert "```\n+x {{/diff}}\n```" in told


def test_what_is_not_there_is_not_spoken_of() -> None:
    """A tool that failed has no output of gates, and perhaps no patch."""
    told = render(None, prompt="Do it", attempt=2, refused=Refused(message="timed out"))
    assert "timed out" in told
    assert "printed" not in told
    assert "{{" not in told
    assert "```" not in told


def test_output_and_patch_are_bounded() -> None:
    """The end of the output and the beginning of the patch; bytes that are no text are no trouble."""
    refused = Refused(message="m", output="ä" * OUTPUT_BYTES + "END", diff=b"BEGIN\xff" + b"x" * DIFF_BYTES)
    told = render(None, prompt="p", attempt=2, refused=refused)
    assert "END\n```" in told
    assert "```\nBEGIN" in told
    assert "[… 6 more bytes]" in told
    assert len(told.encode()) < OUTPUT_BYTES + DIFF_BYTES + 1000


def test_a_template_of_ones_own() -> None:
    """Sections are there when their name stands for something."""
    template = "{{#message}}Again ({{attempt}}): {{message}}\n{{/message}}Task: {{prompt}}\n"
    assert render(template, prompt="p") == "Task: p\n"
    assert render(template, prompt="p", attempt=2, refused=Refused(message="m")) == "Again (2): m\nTask: p\n"


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ("Do it", "it has no {{prompt}}"),
        ("{{prompt}} {{diffs}}", "it has the unknown name {{diffs}}"),
        ("{{prompt}} {{#diff}}", "a section {{#diff}} is not closed"),
    ],
)
def test_a_template_that_cannot_be_meant_is_refused(template: str, fault: str) -> None:
    """Before any tool is run with it."""
    assert (fault_of_template(template) or "").startswith(fault)


def test_the_templates_own_is_in_order() -> None:
    """It would be refused otherwise."""
    assert fault_of_template(DEFAULT_TEMPLATE) is None


def test_after_a_conflict_the_changes_of_the_target_are_told() -> None:
    """Fenced, and before the patch that was refused."""
    refused = Refused(message="it conflicts", changes="-old\n+new\n", diff=b"+mine\n")
    told = render(None, prompt="p", attempt=2, refused=refused)
    assert "The target has changed there since" in told
    assert told.index("```\n-old\n+new\n```") < told.index("+mine")
