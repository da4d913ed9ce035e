"""A request under an idempotency key is carried out once, and its answer is given again for a day."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

import pytest

from maingate.bootstrap import Maingate
from maingate.db.dao import answers
from maingate.db.sql.columns import to_micros
from maingate.db.sql.statements import change
from maingate.services.http.kept_answers import (
    KEPT_FOR,
    AnswerService,
    KeptAnswer,
    KeyBusyError,
    KeyedRequest,
    KeyReusedError,
    Note,
    fingerprint_of,
)
from support.factories import GitRepo

GIVEN = KeptAnswer(status=201, body='{"a":1}', headers={"Location": "/x"})


@pytest.fixture
def maingate(repo: GitRepo) -> Iterator[Maingate]:
    """Give Maingate in an empty repository."""
    repo.commit({"a": "1"})
    with Maingate.open(repo.path) as opened:
        yield opened


ONE: Final = KeyedRequest(operator="ada", key="k", fingerprint="f")
OTHER: Final = replace(ONE, fingerprint="g")
"""Another request under the same key."""


class KilledError(BaseException):
    """The process is gone."""


class Dying(AnswerService):
    """A process that is killed amid a request."""

    def _end(self, claim: str, answer: KeptAnswer | None) -> None:  # noqa: ARG002 - as it is
        raise KilledError


def unexpected(*_: object) -> Any:
    """Fail: the request must not be carried out."""
    raise AssertionError("it was carried out again")


def kill(*_: object) -> Any:
    """End the process."""
    raise KilledError


def doing(maingate: Maingate) -> Callable[[Note], str]:
    """Return an action that notes its effect."""

    def do(note: Note) -> str:
        with maingate.context.database.write() as conn:
            note(conn, "it")
        return "it"

    return do


def telling(answer: KeptAnswer) -> Callable[[str], KeptAnswer]:
    """Return what makes an answer of an effect."""

    def tell(made: str) -> KeptAnswer:
        assert made == "it"
        return answer

    return tell


def test_the_second_request_gets_the_answer_of_the_first(maingate: Maingate) -> None:
    """Also from another process, and also with the same key of another caller apart."""
    assert maingate.answers.once(ONE, doing(maingate), telling(GIVEN)) == GIVEN
    for service in (maingate.answers, AnswerService(maingate.context)):
        assert service.once(ONE, unexpected, unexpected) == replace(GIVEN, is_repeated=True)
    other, bob = KeptAnswer(status=200, body="{}"), replace(OTHER, operator="bob")
    assert maingate.answers.once(bob, doing(maingate), telling(other)) == other


def test_a_key_is_of_one_request(maingate: Maingate) -> None:
    """The same key with another request is a mistake of the caller, and nothing is done."""
    maingate.answers.once(ONE, doing(maingate), telling(GIVEN))
    with pytest.raises(KeyReusedError):
        maingate.answers.once(OTHER, unexpected, unexpected)


def test_a_request_under_way_keeps_its_key(maingate: Maingate) -> None:
    """A second one meanwhile is refused instead of being carried out beside it."""

    def again(_made: str) -> KeptAnswer:
        with pytest.raises(KeyBusyError):
            maingate.answers.once(ONE, unexpected, unexpected)
        with pytest.raises(KeyReusedError):
            maingate.answers.once(OTHER, unexpected, unexpected)
        return GIVEN

    assert maingate.answers.once(ONE, doing(maingate), again) == GIVEN


def test_a_request_is_under_way_until_its_answer_is_on_record(
    maingate: Maingate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second one that comes while the answer is written is told to wait."""
    finish, seen = answers.finish, list[str]()

    def finishing(*args: object, **kwargs: object) -> None:
        monkeypatch.setattr(answers, "finish", finish)
        assert ("ada", "k") in maingate.answers._under_way
        seen.append("under way")
        finish(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(answers, "finish", finishing)
    assert maingate.answers.once(ONE, doing(maingate), telling(GIVEN)) == GIVEN
    assert seen == ["under way"]
    assert maingate.answers._under_way == set()


def test_a_request_that_failed_without_an_effect_leaves_its_key_free(maingate: Maingate) -> None:
    """Refused or failed, nothing was done: it may be corrected and sent again."""
    refused = KeptAnswer(status=409, body="{}")
    assert maingate.answers.once(ONE, lambda _: "it", telling(refused)) == refused
    with pytest.raises(AssertionError):
        maingate.answers.once(ONE, unexpected, unexpected)
    assert maingate.answers.once(OTHER, doing(maingate), telling(GIVEN)) == GIVEN


def test_a_request_that_failed_after_its_effect_is_answered_when_it_is_sent_again(maingate: Maingate) -> None:
    """A process did not answer in time: it is asked again, and nothing is done again."""
    with pytest.raises(AssertionError):
        maingate.answers.once(ONE, doing(maingate), unexpected)
    with pytest.raises(KeyReusedError):
        maingate.answers.once(OTHER, unexpected, unexpected)
    repeated = replace(GIVEN, is_repeated=True)
    for _ in range(2):
        assert maingate.answers.once(ONE, unexpected, telling(GIVEN)) == repeated


def test_a_request_whose_process_was_killed_before_its_effect_is_carried_out(maingate: Maingate) -> None:
    """Nothing was done, so it is no repetition."""
    with pytest.raises(KilledError):
        Dying(maingate.context).once(ONE, kill, unexpected)
    assert maingate.answers.once(ONE, doing(maingate), telling(GIVEN)) == GIVEN


def test_a_request_whose_process_was_killed_after_its_effect_is_answered(maingate: Maingate) -> None:
    """Nothing is done again; the answer is made of what was noted."""
    with pytest.raises(KilledError):
        Dying(maingate.context).once(ONE, doing(maingate), kill)
    with pytest.raises(KeyReusedError):
        maingate.answers.once(OTHER, unexpected, unexpected)
    repeated = replace(GIVEN, is_repeated=True)
    assert maingate.answers.once(ONE, unexpected, telling(GIVEN)) == repeated
    assert maingate.answers.once(ONE, unexpected, unexpected) == repeated


def test_a_process_whose_request_another_one_went_on_with_does_nothing_more(maingate: Maingate) -> None:
    """One that was stopped and continued: its action is rolled back with the note that is refused."""

    def stopped(note: Note) -> str:
        second = AnswerService(maingate.context)
        assert second.once(ONE, doing(maingate), telling(GIVEN)) == GIVEN
        with maingate.context.database.write() as conn:
            change(conn, "UPDATE answers SET body = ?", ("done twice",))
            note(conn, "it")
        return "it"

    with pytest.raises(KeyBusyError):
        maingate.answers.once(ONE, stopped, unexpected)
    assert maingate.answers.once(ONE, unexpected, unexpected) == replace(GIVEN, is_repeated=True)


def test_an_answer_is_forgotten_after_a_day(maingate: Maingate) -> None:
    """The table does not grow for ever."""
    maingate.answers.once(ONE, doing(maingate), telling(GIVEN))
    old = maingate.context.clock.now() - KEPT_FOR
    with maingate.context.database.write() as conn:
        change(conn, "UPDATE answers SET created_at = ?", (to_micros(old) - 1,))
    second = KeptAnswer(status=200, body="{}")
    assert maingate.answers.once(ONE, doing(maingate), telling(second)) == second


def test_the_parts_of_a_request_do_not_run_together() -> None:
    """A path that ends with what another's body begins with is another request."""
    assert fingerprint_of(b"ab", b"c") != fingerprint_of(b"a", b"bc")
