"""The readiness of a target: nothing begins while a checkout could not follow."""

from datetime import timedelta

import pytest

from maingate.db.dao import intents
from maingate.db.dao.intents import Intent
from maingate.errors import CheckoutError, RepositoryError
from maingate.landing.checkouts import index_hold
from maingate.landing.intended_move import HeldTarget
from maingate.landing.move_values import Move
from maingate.landing.target import LandingTarget
from support.factories import GitRepo


def test_a_target_with_uncommitted_changes_is_not_ready(target: LandingTarget, repo: GitRepo) -> None:
    """A plan, and a rollback, are refused before anything starts when a checkout could not follow."""
    target.require_ready()
    repo.write({"a.txt": "mine\n"})
    with pytest.raises(RepositoryError, match=r"a\.txt has uncommitted changes.*commit or stash them first"):
        target.require_ready()


def test_a_target_whose_checkout_is_behind_is_not_ready(
    target: HeldTarget, intent: Intent, repo: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an earlier landing owes comes first; where it cannot be made good, its command is named."""
    monkeypatch.setattr(index_hold.take, "__kwdefaults__", {"patience": timedelta()})

    with monkeypatch.context() as killed:
        killed.setattr(
            "maingate.landing.checkouts.follower.CheckoutFollower.place",
            lambda follower: follower.following(),
        )
        move = Move(ref=intent.ref, old=str(intent.old), new=intent.new, what="w")
        target.carry_out(intent, move, book=lambda conn: intents.landed(conn, intent.id, intent.created_at))
        with pytest.raises(CheckoutError, match="maingate checkout repair"):
            target.require_ready(is_trial=True)
    target.require_ready()
    assert (repo.path / "a.txt").read_text() == "2\n"
