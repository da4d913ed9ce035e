"""The items of the inbox: open matters that a person has to decide, each with the command that ends it. Pure.

docs/COMMANDS.md describes each kind and the rule that ends it. A matter that ended or was superseded is none.
"""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from maingate.db.dao.breakers import BreakerRow
from maingate.db.dao.overviews.refused_patches import RefusedPatch
from maingate.events import Severity
from maingate.git.targets import short_name
from maingate.landing.move_values import Behind
from maingate.queries.after_refusal import ADVICE, step_after
from maingate.queries.inbox.values import (
    About,
    InboxCode,
    InboxItem,
    InboxRows,
    OpenRun,
    RedBase,
    UnapprovedPatch,
)
from maingate.queries.waits.not_running import Standstill
from maingate.reasons import ReasonCode
from maingate.state.circuit_breaker import BreakerState
from maingate.state.queue_control import ENDED_BY_PERSON, OrderInForce
from maingate.state.tool_run import MICROS
from maingate.wording import more_approvals, short

if TYPE_CHECKING:
    from maingate.db.dao.webhooks import WebhookRow
    from maingate.monitoring.alerts import FiringAlert
    from maingate.monitoring.stuck_watch import Stuck

NEARLY: Final = 0.8
"""The part of a budget from which on it is nearly used."""

_TOLD: Final = frozenset(
    {
        *("MaingateStuck", "MaingateBreakerOpen", "MaingateRunWithoutProcess", "MaingateWebhookFails"),
        "MaingateBudgetNearlyUsed",
        "MaingateQueueHeld",
    }
)
"""The alerts about matters that are items of their own."""

_NO_LOSS: Final = frozenset({ReasonCode.ALREADY_APPLIED, ReasonCode.EMPTY_PATCH})
"""Reasons of refusals after which nothing is missing on the target."""

_HOPELESS: Final = frozenset(
    {ReasonCode.FORMAT_INVALID, ReasonCode.POLICY_VIOLATION, ReasonCode.SCOPE_VIOLATION}
)
"""Reasons for which the same diff is refused each time."""

_SEVERITIES: Final = tuple(Severity)
"""All severities, the lightest first."""


def items_of(rows: InboxRows) -> list[InboxItem]:
    """Return the items of the inbox: the heaviest first, among equals the oldest first."""
    found = [
        *(item for run in rows.runs for item in _of_run(run)),
        *map(_behind, rows.behind),
        *(_red_base(red, rows) for red in rows.red_bases),
        *(_open(breaker) for breaker in rows.breakers if breaker.state is BreakerState.OPEN),
        *(_stuck(about, stuck, rows) for about, stuck in rows.stuck),
        *map(_unapproved, rows.unapproved),
        *(_alert(one) for one in rows.alerts if one.rule.name not in _TOLD),
        *map(_webhook, rows.webhooks),
        *(_ordered(order) for order in rows.orders if order.control.kind in ENDED_BY_PERSON),
        *(_quarantined(patch, rows) for patch in undecided(rows)),
    ]
    return sorted(found, key=lambda item: (-_SEVERITIES.index(item.severity), item.since or rows.now))


def _alert(one: "FiringAlert") -> InboxItem:
    return InboxItem(
        code=InboxCode.ALERT,
        about=About(kind="alert", id=one.rule.name, name=one.rule.name),
        why=f"{one.rule.name}: {one.text}; docs/OPERATIONS.md has what to do",
        since=one.since,
        command=shlex.join(["maingate", *one.rule.command]),
        severity=one.rule.severity,
    )


def _ordered(order: OrderInForce) -> InboxItem:
    ref = order.control.key.rpartition("#")[2]
    name = short_name(ref)
    return InboxItem(
        code=InboxCode.QUEUE,
        about=About(kind="target", id=ref, name=name),
        why=order.sentence.replace("the queue", f"the queue of {short(name)}", 1),
        since=order.since,
        command=f"maingate queue resume {shlex.quote(name)}",
        severity=Severity.WARNING,
    )


def _webhook(row: "WebhookRow") -> InboxItem:
    attempts = f"failures in a row: {row.failures}; the events for it wait"
    return InboxItem(
        code=InboxCode.WEBHOOK,
        about=About(kind="webhook", id=row.name, name=row.name),
        why=f"the receiver {row.name} of webhooks takes no event: {row.failure}; {attempts}",
        since=row.failing_since,
        command=f"maingate webhook retry {row.name}",
        severity=Severity.WARNING,
    )


def newest_attempts(quarantined: Iterable[RefusedPatch]) -> list[RefusedPatch]:
    """Return the refused patches of the newest run of each task of a plan and of each work, given all.

    Runs of one plan file on one target try the same tasks, and runs of one work the same work; an older
    refusal is superseded. The recovery of a single patch supersedes that one only.

    Args:
        quarantined: The refused patches, newest first.
    """
    newest: dict[tuple[str | None, ...], str] = {}
    found = []
    for patch in quarantined:
        if newest.get(patch.attempt_of, patch.run_id) == patch.run_id:
            found.append(patch)
        if not patch.is_recovery:
            newest.setdefault(patch.attempt_of, patch.run_id)
    return found


def undecided(rows: InboxRows) -> Iterator[RefusedPatch]:
    """Yield the refused patches that a person has to decide about."""
    for patch in newest_attempts(rows.quarantined):
        is_harmless = patch.reason is not None and patch.reason.code in _NO_LOSS
        is_landed = (patch.change_key, patch.target_ref) in rows.landed
        is_merged = (patch.source, patch.target_ref) in rows.merged
        if not is_harmless and not is_landed and not is_merged and patch.id not in rows.tried_again:
            yield patch


def _of_run(run: OpenRun) -> Iterator[InboxItem]:
    is_spent = run.used >= 1
    if run.is_served:
        return
    if not run.is_alive:
        still = Standstill(run_id=run.id, stopped=run.stopped, is_overspent=is_spent)
        yield InboxItem(
            code=InboxCode.BUDGET if is_spent else InboxCode.STOPPED,
            about=run.about,
            why=f"run {short(run.name)} is {still.sentence}",
            since=run.since,
            command=_with_budget(run) if is_spent else still.command,
            severity=Severity.ERROR,
        )
    elif run.used >= NEARLY and not is_spent:  # beyond it, the process was given another budget
        yield InboxItem(
            code=InboxCode.BUDGET,
            about=run.about,
            why=f"the tools of run {short(run.name)} have cost ${run.spent_micros / MICROS:.2f} "
            f"of its budget of ${run.budget_usd:.2f}; it stops when that is used up",
            since=run.since,
            command=f"{_with_budget(run)} --wait",
            severity=Severity.WARNING,
        )


def _with_budget(run: OpenRun) -> str:
    """Return the command that continues a run with twice its budget, or twice its cost if that is more."""
    budget = 2 * max(run.budget_usd or 0.0, run.spent_micros / MICROS)
    return f"maingate resume {run.id} --budget-usd {budget:.2f}"


def _behind(checkout: Behind) -> InboxItem:
    return InboxItem(
        code=InboxCode.CHECKOUT,
        about=About(kind="checkout", id=checkout.top, name=short_name(checkout.ref)),
        why=str(checkout),
        since=checkout.since,
        command="maingate checkout repair",
        severity=Severity.ERROR,
    )


def _red_base(red: RedBase, rows: InboxRows) -> InboxItem:
    first = red.patches[0]
    detail: Mapping[str, Any] = first.reason.detail if first.reason else {}
    branch, gate = short_name(first.target_ref), detail.get("gate")
    is_same = red.head is not None and red.head == detail.get("base")
    state = f"gate {gate} fails on {branch} itself" if is_same else f"gate {gate} failed on {branch} before"
    many = len(red.patches) > 1
    again = f"try {'them' if many else 'it'} again"
    is_own = gate in rows.own_gates.get(first.run_id, ())
    mend = f"mend {branch}, or the gate if it tests what the patch brings" if is_own else f"mend {branch}"
    step = f"{mend}, then {again}" if is_same else f"{branch} has moved since: {again}"
    command = f"maingate patch recover {first.id}"
    if all(patch.source in rows.branches for patch in red.patches):
        command = _landing(red.patches, rows)
    elif many and red.has_plan_file and first.plan_file is not None:
        command = f"maingate run {shlex.quote(first.plan_file)}"
    return InboxItem(
        code=InboxCode.BASE_RED,
        about=About(
            kind="target",
            id=first.target_ref,
            name=branch,
            run_id=first.run_id,
            run_name=first.run_name,
        ),
        why=f"{state}, so {_patches(red.patches)} did not land; {step}",
        since=first.since,
        command=command,
        severity=Severity.ERROR,
    )


def _patches(patches: Sequence[RefusedPatch]) -> str:
    label = f"the patch of {short(patches[0].label)}"
    more = len(patches) - 1
    return f"{label} and {more} more" if more else label


def _open(breaker: BreakerRow) -> InboxItem:
    why = breaker.reason.message if breaker.reason else f"it failed {breaker.failures} times in a row"
    return InboxItem(
        code=InboxCode.BREAKER_OPEN,
        about=About(kind="breaker", id=breaker.id, name=breaker.tool),
        why=f"tool {short(breaker.tool)} is paused (circuit breaker open): {why}",
        since=breaker.opened_at,
        command=f'maingate breaker reset {shlex.quote(breaker.tool)} --reason "mended"',
        severity=Severity.CRITICAL,
    )


def _stuck(about: About, stuck: "Stuck", rows: InboxRows) -> InboxItem:
    silent = rows.now - stuck.since
    waits_for = rows.handed_over.get(about.id)
    return InboxItem(
        code=InboxCode.STUCK,
        about=about,
        why=f"{about.kind} {short(about.name)} has made no progress for {_minutes(silent.total_seconds())}; "
        f"the limit is {_minutes(stuck.threshold.total_seconds())}"
        + ("" if waits_for is None else f"; it waits for {waits_for}"),
        since=stuck.since,
        command=f'maingate cancel {about.id} --reason "stuck"',
        severity=Severity.CRITICAL if silent > 2 * stuck.threshold else Severity.WARNING,
    )


def _minutes(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes else f"{round(seconds)} s"


def _unapproved(patch: UnapprovedPatch) -> InboxItem:
    return InboxItem(
        code=InboxCode.APPROVAL,
        about=patch.about,
        why=f"{short(patch.about.name)} waits for {more_approvals(patch.missing)}",
        since=patch.since,
        command=f"maingate patch approve {patch.about.id}",
        severity=Severity.WARNING,
    )


def _landing(patches: Sequence[RefusedPatch], rows: InboxRows) -> str:
    """Return the command that lands the branches of patches of a run again, with the gates that it had."""
    first = patches[0]
    names = dict.fromkeys(short_name(patch.source or "") for patch in patches)
    gates = rows.own_gates.get(first.run_id, {}).items()
    options = [word for name, command in gates for word in ("--gate", f"{name}={command}")]
    return shlex.join(["maingate", "land", *names, "--into", short_name(first.target_ref), *options])


def _quarantined(patch: RefusedPatch, rows: InboxRows) -> InboxItem:
    code = patch.reason.code if patch.reason else None
    reason = f"{code}: {patch.reason.message}" if patch.reason else "refused"
    command = f"maingate patch recover {patch.id}"
    if patch.source is not None and patch.source in rows.branches:
        command = _landing([patch], rows)
        reason += f"; branch {short(short_name(patch.source))}: {ADVICE[step_after(str(code))]}"
    elif patch.tool is not None:
        command += f" --tool {shlex.quote(patch.tool)}"
    elif code in _HOPELESS or (code is ReasonCode.CONFLICT and patch.source is not None):
        command = f'maingate patch drop {patch.id} --reason "{code}"'
    return InboxItem(
        code=InboxCode.QUARANTINED,
        about=About(
            kind="patch", id=patch.id, name=patch.label, run_id=patch.run_id, run_name=patch.run_name
        ),
        why=f"the patch of {short(patch.label)} is quarantined: {reason}",
        since=patch.since,
        command=command,
        severity=Severity.WARNING,
    )
