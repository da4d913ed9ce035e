"""Dates as git keeps them: what is read, what is kept, and what is lost."""

from datetime import datetime

import pytest

from maingate.git_dates import GitDate, read_date
from support.factories import GitRepo

ON_TIME = [
    "Mon, 3 Feb 2020 04:05:06 +0518",
    "Mon, 3 Feb 2020 04:05:06 -0130",
    "Mon, 3 Feb 2020 04:05:06 +0100 (CET)",
    "Mon, 3 Feb 2020 04:05:06 EST",
    "Mon, 3 Feb 2020 04:05:06 CEST",
    "Mon, 3 Feb 2020 04:05:06 jst (Tokyo)",
    "Mon, 3 Feb 2020 04:05:06 NZDT",
    "Mon, 3 Feb 2020 04:05:06 AST",
    "Mon, 3 Feb 2020 04:05:06 IDLW",
    "Mon, 3 Feb 2020 04:05:06",
    "Mon, 3 Feb 2020 04:05:06 PM +0100",
    "Mon, 3 Feb 2020 12:05AM",
    "Mon, 3 Feb 2020 04:05:06 -0000",
    "Mon, 3 Feb 2020 04:05:60 +0000",
    "Mon Feb 3 04:05:06 2020 +0100",
    "Mon, 31 Feb 2020 04:05:06 +0000",
    "3 Feb 2020 04:05:06 +2500",
    "2020-02-03T04:05:06+05:30",
    "@1580682906 +0530",
    "Fri, 1 Jan 2038 00:00:00 +1400",
]


@pytest.mark.parametrize("text", ON_TIME)
def test_a_date_is_what_git_reads(text: str, repo: GitRepo) -> None:
    """The moment and the zone of a commit that git makes with that author date."""
    repo.git("commit", "-q", "--allow-empty", "-m", "x", "--date", text)
    assert str(read_date(text)) == repo.git("log", "-1", "--date=raw", "--format=%ad")


@pytest.mark.parametrize(
    ("text", "kept", "loss", "in_plan"),
    [
        (
            "Mon, 3 Feb 2020 04:05:06 +051830",
            "1580683596 +0518",
            "the zone +051830 has seconds: +0518",
            "1580683596 +051830",
        ),
        ("15 +51800", "15 +0518", "the zone +051800 has seconds: +0518", "15 +051800"),
        ("1580682906 +9959", "1580682906 +9959", "", "1580682906 +9959"),
        ("Mon, 3 Feb 10000 04:05:06 +0000", "253405166706 +0000", "", "253405166706 +0000"),
        ("253402300800 +0000", "253402300800 +0000", "", "253402300800 +0000"),
        (
            "Mon, 3 Feb 2020 04:05:06 +2500",
            "1580702706 +0000",
            "the zone +2500 is none: read as UTC",
            "2020-02-03T04:05:06+00:00",
        ),
        (
            "Mon, 3 Feb 2020 04:05:06 MSK",
            "1580702706 +0000",
            "the zone MSK is not known: read as UTC",
            "2020-02-03T04:05:06+00:00",
        ),
        ("-5 +0000", "-5 +0000", "the date -5 +0000 is before 1970", "-5 +0000"),
        ("1960-01-01T00:00:00Z", "-315619200 +0000", "the date 1960-01-01 00:00:00+00:00 is before 1970",
         "-315619200 +0000"),
    ],
)  # fmt: skip
def test_what_git_cannot_keep_is_told(text: str, kept: str, loss: str, in_plan: str) -> None:
    """The rest is kept, and the plan has the date as it was."""
    date = read_date(text)
    assert (str(date), date.loss, date.as_plan_text()) == (kept, loss, in_plan)
    assert date.is_storable is not kept.startswith("-")
    again = read_date(date.as_plan_text())
    assert (again, again.is_storable) == (date, date.is_storable)


@pytest.mark.parametrize(
    "text", ["", "garbage", "Mon, 99 Foo 2024", "Mon, 3 Feb 2020 25:05:06 +0000", "1 2 3"]
)
def test_other_texts_are_no_dates(text: str) -> None:
    """They are refused, and not guessed."""
    with pytest.raises(ValueError, match="is no date"):
        read_date(text)


def test_a_time_without_a_zone_is_none_of_gits() -> None:
    """It could be any of a day's moments."""
    with pytest.raises(ValueError, match="no offset from UTC"):
        GitDate.of(datetime(2026, 1, 2))  # noqa: DTZ001 - what is refused
