"""A request to land finished work, as it is sent: the object of a request."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field

from maingate.api.answers.problems import HttpProblemError
from maingate.api.plan_submission import Base64, content_of
from maingate.git_dates import GitDate, read_date
from maingate.importers.finished_work.given_patches import GivenPatches
from maingate.importers.finished_work.plan import LandOptions
from maingate.importers.finished_work.sources import Source
from maingate.importers.series_entry import Entry
from maingate.landing_requests.sent_work import SentLanding
from maingate.plan.choices import LandingStyle, OnApplied
from maingate.services.handover.run_queue import RunOptions

_LINE: Final = r"^[^\x00-\x1f\x7f]+$"
_BRANCH: Final = r"^refs/heads/[^\x00-\x20\x7f]+$"
_COMMIT: Final = r"^[0-9a-f]{40}$"
_MOST_WORK: Final = 1000
_MOST_PATCHES: Final = 5000

Line = Annotated[str, Field(min_length=1, max_length=1000, pattern=_LINE)]


class SentPatch(BaseModel):
    """A patch, and what its commit is to have."""

    diff: str | Base64
    origin: Line = Field(description="Where it is from, for people.", examples=["0001-fix.patch"])
    message: str = Field("", max_length=1_000_000)
    author: str | None = Field(None, max_length=1000, examples=["Ada Example <ada@example.org>"])
    date: str | None = Field(None, max_length=100, description="As in ISO 8601, in mail, or in git.")


class SentWork(BaseModel):
    """A piece of finished work: a branch by its newest commit, or patches."""

    argument: Line = Field(description="Its name for the sender; no two of a request are equal.")
    branch: str | None = Field(None, max_length=1000, pattern=_BRANCH, examples=["refs/heads/agent"])
    commit: str | None = Field(None, pattern=_COMMIT, description="The newest commit of the branch.")
    key: Line | None = Field(
        None,
        description="The sender's name for the work; default: the branch. A later attempt with the same key "
        "takes the place of this one in the inbox.",
    )
    title: Line | None = Field(None, description="The title of patches; default: the argument.")
    patches: list[SentPatch] = Field([], max_length=_MOST_PATCHES)
    notes: list[Line] = Field([], max_length=100)

    def source(self) -> Source:
        """Return it as work that was named.

        Raises:
            HttpProblemError: It is neither a branch nor patches.
        """
        is_branch = self.branch is not None
        if is_branch != (self.commit is not None) or (is_branch and self.patches):
            raise _invalid(f"{self.argument}: give `branch` and `commit`, or `patches`")
        key = self.key or self.branch
        return Source(argument=self.argument, branch=self.branch, commit=self.commit, key=key)

    def given(self) -> GivenPatches:
        """Return its patches.

        Raises:
            HttpProblemError: A diff is no base64, or a date is none.
        """
        entries = tuple(_entry(self.argument, each) for each in self.patches)
        return GivenPatches(title=self.title or self.argument, entries=entries, notes=tuple(self.notes))


class LandRequest(BaseModel):
    """Finished work, and how it is to land. The keys are the options of `maingate land`."""

    work: list[SentWork] = Field(min_length=1, max_length=_MOST_WORK)
    pack: Base64 | None = Field(
        None,
        description="The commits of the branches that the server does not have, as "
        "`git pack-objects --revs --thin --stdout` makes them.",
    )
    into: str | None = Field(None, min_length=1, max_length=250, description="Default: the main line.")
    gates: dict[str, str] = Field({}, max_length=100, description="More gates: commands by name.")
    no_gate: bool = Field(False, description="Whether it lands without any gate.")
    landing: Literal["merge", "squash", "rebase"] | None = None
    needs: Line | None = Field(None, description="The argument of the work that must land before the rest.")
    priority: int = Field(0, ge=-1_000_000, le=1_000_000)
    title: Line | None = Field(None, description="The title of what lands, if it is one piece of work.")
    on_applied: Literal["skip", "refuse"] = "skip"
    dry_run: bool = Field(False, description="Whether it is only tried; nothing is made.")
    workers: int | None = Field(None, ge=1, le=1024, description="How many gates run at once.")

    def sent(self) -> SentLanding:
        """Return it as a request to the repository.

        Raises:
            HttpProblemError: Its parts contradict each other.
        """
        if len({each.argument for each in self.work}) != len(self.work):
            raise _invalid("two pieces of work have the same argument")
        if self.gates and self.no_gate:
            raise _invalid("`gates` and `no_gate` cannot be combined")
        options = LandOptions(
            landing=None if self.landing is None else LandingStyle(self.landing),
            gates=self.gates,
            is_ungated=self.no_gate,
            priority=self.priority,
            title=self.title,
            on_applied=OnApplied(self.on_applied),
        )
        return SentLanding(
            sources=[each.source() for each in self.work],
            patches={at: each.given() for at, each in enumerate(self.work) if each.branch is None},
            pack=b"" if self.pack is None else content_of("pack", self.pack),
            into=self.into,
            needs=self.needs,
            options=options,
            is_trial=self.dry_run,
            run_options=RunOptions(workers=self.workers),
        )


def _entry(argument: str, sent: SentPatch) -> Entry:
    return Entry(
        origin=sent.origin,
        diff=content_of(f"{argument}: diff", sent.diff),
        message=sent.message,
        author=sent.author,
        date=None if sent.date is None else _date(argument, sent.date),
    )


def _date(argument: str, text: str) -> GitDate:
    try:
        return read_date(text)
    except (ValueError, OverflowError) as error:
        raise _invalid(f"{argument}: {text!r} is no date") from error


def _invalid(detail: str) -> HttpProblemError:
    return HttpProblemError(422, "invalid_request", detail)
