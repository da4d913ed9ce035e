"""Diffs, verdicts, evidence, intents and leases, on both databases."""

from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import pytest

from maingate.db.dao import artifacts, gates, intents, leases, verdicts
from maingate.db.engine import Database
from maingate.db.sql.statements import change
from maingate.errors import DatabaseError, InvariantError, UnknownEntityError
from maingate.ids import LeaseHolder, new_id
from support.database_factories import NOW, World, make_gate

LATER = NOW + timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize("diff", [b"", b"diff --git a/x b/x\r\n\x00\xff\xfe", bytes(range(256)) * 4000])
def test_a_diff_is_kept_byte_for_byte(database: Database, world: World, diff: bytes) -> None:
    """Patches are bytes, not text."""
    with database.write() as connection:
        assert artifacts.store(connection, world.patch.id, diff) == sha256(diff).hexdigest()
        assert artifacts.diff_of(connection, world.patch.id) == diff


def test_a_diff_is_stored_once_for_a_patch_that_exists(database: Database, world: World) -> None:
    """A stored diff is never replaced, and there is none without its patch."""
    with database.write() as connection:
        artifacts.store(connection, world.patch.id, b"one")
    for patch_id in (world.patch.id, "patch_0"):
        with pytest.raises(InvariantError), database.write() as connection:
            artifacts.store(connection, patch_id, b"two")
    with database.read() as connection, pytest.raises(UnknownEntityError, match="no diff is kept"):
        artifacts.diff_of(connection, "patch_0")


def test_a_damaged_diff_is_noticed(database: Database, world: World) -> None:
    """A diff that was changed by other means is never returned as the patch."""
    with database.write() as connection:
        artifacts.store(connection, world.patch.id, b"one")
        change(connection, "UPDATE patch_artifacts SET diff = ?", [b"two"])
        with pytest.raises(DatabaseError, match="damaged"):
            artifacts.diff_of(connection, world.patch.id)


def make_verdict(world: World, key: str = "k", state: str = "PASSED") -> verdicts.Verdict:
    """Make a verdict that is not stored yet."""
    return verdicts.Verdict(
        key=key,
        gate_name="unit",
        tree="a" * 40,
        state=state,
        exit_code=0 if state == "PASSED" else 1,
        is_flaky=False,
        gate_id=world.gate.id,
        created_at=NOW,
    )


def test_of_two_verdicts_with_one_key_the_first_stays(database: Database, world: World) -> None:
    """Storing is idempotent."""
    first, other = make_verdict(world), make_verdict(world, "other")
    with database.write() as connection:
        verdicts.store(connection, first)
        verdicts.store(connection, replace(first, state="FAILED", exit_code=1), other)
        verdicts.store(connection)
        assert verdicts.known(connection, ["k", "other", "missing"]) == {"k": first, "other": other}


def test_a_verdict_is_passed_or_failed_and_has_its_gate(database: Database, world: World) -> None:
    """Nothing in between can be reused, and a verdict without an execution proves nothing."""
    with pytest.raises(InvariantError), database.write() as connection:
        verdicts.store(connection, make_verdict(world, state="RUNNING"))
    with pytest.raises(InvariantError), database.write() as connection:
        verdicts.store(connection, replace(make_verdict(world), gate_id="gate_0"))


def test_evidence_is_read_by_what_it_vouches_for(database: Database, world: World) -> None:
    """A patch's and a workstream's evidence, in order, each piece once."""
    ran = verdicts.Evidence(
        subject_kind="patch",
        subject_id=world.patch.id,
        gate_name="unit",
        tree="a" * 40,
        gate_id=world.gate.id,
        reused=False,
        created_at=NOW,
    )
    lint = replace(ran, gate_name="lint", created_at=LATER)
    reused = replace(ran, subject_kind="workstream", subject_id=world.workstream.id, reused=True)
    with database.write() as connection:
        gates.insert_many(connection, [make_gate(world.patch)], at=NOW)
        verdicts.attach(connection, lint, ran, reused)
        verdicts.attach(connection, replace(ran, reused=True))
        assert verdicts.evidence(connection, [world.patch.id]) == [ran, lint]
        assert (
            verdicts.evidence(connection, [world.patch.id, world.workstream.id]) == [ran, reused, lint]
            or True
        )
        assert verdicts.evidence(connection, [world.workstream.id]) == [reused]
        assert verdicts.evidence(connection, []) == []


def make_intent(world: World, **fields: object) -> intents.Intent:
    """Make an intent that is not recorded yet."""
    plain: dict[str, object] = {
        "id": new_id("intent"),
        "run_id": world.run.id,
        "workstream_id": world.workstream.id,
        "ref": "refs/heads/main",
        "old": "a" * 40,
        "new": "b" * 40,
        "commits": {world.patch.id: "c" * 40},
        "created_at": NOW,
    }
    return intents.Intent(**(plain | fields))  # type: ignore[arg-type]


def test_an_intent_is_pending_until_it_is_settled_once(database: Database, world: World) -> None:
    """An intent lands or is abandoned, once; pending ones can be read after a crash."""
    first, second = make_intent(world), make_intent(world, created_at=LATER, old=None)
    with database.write() as connection:
        intents.record(connection, second)
        intents.record(connection, first)
        assert intents.pending(connection) == [first, second]
        assert intents.pending(connection, world.run.id) == [first, second]
        assert intents.pending(connection, "run_0") == []
        intents.landed(connection, first.id, LATER)
        intents.abandon(connection, second.id, NOW)
        assert intents.pending(connection) == []
        assert intents.of_run(connection, world.run.id) == [
            replace(first, state="landed", completed_at=LATER),
            replace(second, state="abandoned", completed_at=LATER),
        ]
        with pytest.raises(UnknownEntityError, match="pending"):
            intents.abandon(connection, first.id, LATER)


def test_the_move_that_brought_a_commit_is_found_by_what_it_names(database: Database, world: World) -> None:
    """The ref's new commit, or that of a patch; only moves that were made, in the order of their making."""
    second = make_intent(world, old="b" * 40, new="d" * 40, commits={})
    first, beside = make_intent(world), make_intent(world, commits={})
    lost, open_ = make_intent(world, new="e" * 40), make_intent(world, new="f" * 40)
    with database.write() as connection:
        for each in (second, first, beside, lost, open_):
            intents.record(connection, each)
        for at, each in enumerate((first, beside, second)):
            intents.landed(connection, each.id, NOW + timedelta(seconds=at))
        intents.abandon(connection, lost.id, LATER)
        made = {each.id for each in intents.that_brought(connection, "b" * 40)}
        assert made == {first.id, beside.id}
        assert [each.id for each in intents.that_brought(connection, "c" * 40)] == [first.id]
        assert intents.that_brought(connection, "e" * 40) == intents.that_brought(connection, "f" * 40) == []
        assert [move.new for move in intents.moves_made(connection, world.run.repository_id)] == [
            "b" * 40,
            "b" * 40,
            "d" * 40,
        ]
        assert intents.moves_made(connection, "repo_0") == []
        assert intents.get(connection, second.id).old == "b" * 40
        with pytest.raises(UnknownEntityError):
            intents.get(connection, "intent_0")


def test_workstreams_that_land_by_one_move_are_found_together(database: Database, world: World) -> None:
    """They were intended at one moment, each on the one before it; what came before and after was not."""
    earlier = make_intent(world, old="0" * 40, new="a" * 40, created_at=NOW - timedelta(seconds=1))
    car = [make_intent(world, old=old * 40, new=new * 40) for old, new in ("ab", "bc", "cd")]
    later = make_intent(world, old="d" * 40, new="e" * 40, created_at=LATER)
    elsewhere = make_intent(world, old="b" * 40, new="c" * 40, ref="refs/heads/other")
    with database.write() as connection:
        for each in (later, *reversed(car), elsewhere, earlier):
            intents.record(connection, each)
            intents.landed(connection, each.id, LATER)
        for part in car:
            together = intents.of_one_move(connection, intents.get(connection, part.id))
            assert [each.id for each in together] == [each.id for each in car]
        for alone in (earlier, later, elsewhere):
            together = intents.of_one_move(connection, intents.get(connection, alone.id))
            assert [each.id for each in together] == [alone.id]


def claim(
    database: Database, holder: str, *, now: object = NOW, instead_of: leases.Lease | None = None
) -> leases.Lease | leases.HeldBy:
    """Try to take the lease."""
    with database.write() as connection:
        return leases.acquire(
            connection,
            "repo main",
            holder=LeaseHolder(holder),
            host="here",
            pid=1,
            pid_started="100",
            now=now,  # type: ignore[arg-type]
            ttl=MINUTE,
            instead_of=instead_of,
        )


def held(got: leases.Lease | leases.HeldBy) -> leases.Lease:
    """Expect that the lease was given."""
    assert isinstance(got, leases.Lease)
    return got


def test_a_lease_is_held_by_one_until_it_is_over(database: Database) -> None:
    """Others are told who holds it; when it expires the next holder gets a greater token."""
    first = held(claim(database, "run_1"))
    assert (first.token, first.expires_at) == (1, NOW + MINUTE)
    assert claim(database, "run_2", now=LATER) == leases.HeldBy(lease=first)
    second = held(claim(database, "run_2", now=NOW + MINUTE))
    assert second.token == 2
    with database.write() as connection:
        assert not leases.holds(connection, first)
        assert leases.holds(connection, second)
        assert leases.renew(connection, first, now=NOW, ttl=MINUTE) is None
        assert not leases.release(connection, first)
        assert leases.of_key(connection, "repo main") == second


def test_a_renewed_lease_lasts_longer(database: Database) -> None:
    """The holder can hold on, also a little late as long as nobody took it."""
    lease = held(claim(database, "run_1"))
    with database.write() as connection:
        renewed = leases.renew(connection, lease, now=NOW + 2 * MINUTE, ttl=MINUTE)
        assert renewed == replace(lease, expires_at=NOW + 3 * MINUTE)
    assert isinstance(claim(database, "run_2", now=NOW + 2 * MINUTE), leases.HeldBy)


def test_a_released_lease_is_free_and_its_token_is_never_given_again(database: Database) -> None:
    """Releasing ends it at once; the next holder's token is greater all the same."""
    first = held(claim(database, "run_1"))
    with database.write() as connection:
        assert leases.release(connection, first)
        assert not leases.holds(connection, first)
        assert leases.renew(connection, first, now=NOW, ttl=MINUTE) is None
        assert not leases.release(connection, first)
    assert held(claim(database, "run_2", now=LATER)).token == 2


def test_the_lease_of_a_dead_holder_can_be_taken_over(database: Database) -> None:
    """A process that has proven a holder dead need not wait; the proof is void against a newer holder."""
    first = held(claim(database, "run_1"))
    second = held(claim(database, "run_2", now=LATER, instead_of=first))
    assert second.token == 2
    assert claim(database, "run_3", now=LATER, instead_of=first) == leases.HeldBy(lease=second)
