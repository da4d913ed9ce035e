"""A request under an idempotency key is carried out once, and its answer is given again for a day."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from maingate.bootstrap import Maingate
from maingate.db.dao import answers
from maingate.db.sql.columns import to_micros
from maingate.db.sql.statements import change
from maingate.services.answers import (
    KEPT_FOR,
    AnswerService,
    KeptAnswer,
    KeyAbandonedError,
    KeyBusyError,
    KeyReusedError,
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


def unexpected() -> KeptAnswer:
    """Fail: the request must not be carried out."""
    raise AssertionError("it was carried out again")


def test_the_second_request_gets_the_answer_of_the_first(maingate: Maingate) -> None:
    """Also from another process, and also with the same key of another caller apart."""
    assert maingate.answers.once("ada", "k", "f", lambda: GIVEN) == GIVEN
    for service in (maingate.answers, AnswerService(maingate.context)):
        assert service.once("ada", "k", "f", unexpected) == replace(GIVEN, is_repeated=True)
    other = KeptAnswer(status=200, body="{}")
    assert maingate.answers.once("bob", "k", "g", lambda: other) == other


def test_a_key_is_of_one_request(maingate: Maingate) -> None:
    """The same key with another request is a mistake of the caller, and nothing is done."""
    maingate.answers.once("ada", "k", "f", lambda: GIVEN)
    with pytest.raises(KeyReusedError):
        maingate.answers.once("ada", "k", "g", unexpected)


def test_a_request_under_way_keeps_its_key(maingate: Maingate) -> None:
    """A second one meanwhile is refused instead of being carried out beside it."""

    def again() -> KeptAnswer:
        with pytest.raises(KeyBusyError):
            maingate.answers.once("ada", "k", "f", unexpected)
        with pytest.raises(KeyReusedError):
            maingate.answers.once("ada", "k", "g", unexpected)
        return GIVEN

    assert maingate.answers.once("ada", "k", "f", again) == GIVEN


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
    assert maingate.answers.once("ada", "k", "f", lambda: GIVEN) == GIVEN
    assert seen == ["under way"]
    assert maingate.answers._under_way == set()


def test_a_request_that_failed_leaves_its_key_free(maingate: Maingate) -> None:
    """Refused or failed, nothing was done: it may be corrected and sent again."""
    refused = KeptAnswer(status=409, body="{}")
    assert maingate.answers.once("ada", "k", "f", lambda: refused) == refused
    with pytest.raises(AssertionError):
        maingate.answers.once("ada", "k", "f", unexpected)
    assert maingate.answers.once("ada", "k", "g", lambda: GIVEN) == GIVEN


def test_a_request_whose_process_was_killed_is_not_repeated(maingate: Maingate) -> None:
    """Whether it was done is not known; the caller has to look."""

    class KilledError(BaseException):
        """The process is gone."""

    class Dying(AnswerService):
        """A process that is killed amid a request."""

        def _end(self, operator: str, key: str, answer: KeptAnswer | None) -> None:  # noqa: ARG002 - as it is
            raise KilledError

    with pytest.raises(KilledError):
        Dying(maingate.context).once("ada", "k", "f", lambda: GIVEN)
    with pytest.raises(KeyAbandonedError, match="read whether it was done"):
        maingate.answers.once("ada", "k", "f", unexpected)


def test_an_answer_is_forgotten_after_a_day(maingate: Maingate) -> None:
    """The table does not grow for ever."""
    maingate.answers.once("ada", "k", "f", lambda: GIVEN)
    old = maingate.context.clock.now() - KEPT_FOR
    with maingate.context.database.write() as conn:
        change(conn, "UPDATE answers SET created_at = ?", (to_micros(old) - 1,))
    second = KeptAnswer(status=200, body="{}")
    assert maingate.answers.once("ada", "k", "f", lambda: second) == second


def test_the_parts_of_a_request_do_not_run_together() -> None:
    """A path that ends with what another's body begins with is another request."""
    assert fingerprint_of(b"ab", b"c") != fingerprint_of(b"a", b"bc")
