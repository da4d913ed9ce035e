"""The board of a run's holds: those that apply now, beside those on record.

The parts of the core put a hold where they make an entity wait for something that its own row does not
say, and the turn removes it when the entity moves on. The difference to the record is published with the
transitions of the same step, so that it costs what changed.

Besides, the run's hold names the workstream that lands next, and a workstream's hold the front of its lane:
all others that land later, or are behind in the lane, wait for these.
"""

from collections.abc import Mapping

from maingate.state.holds import Hold


class HoldBoard:
    """The holds of a run's entities.

    Args:
        recorded: The holds on record, by entity; each that does not apply any more is removed with the first
            changes.
    """

    def __init__(self, recorded: Mapping[str, Hold]) -> None:
        self._recorded = dict(recorded)
        self._now: dict[str, Hold] = {}
        self._touched = dict.fromkeys(recorded)

    def put(self, entity_id: str, hold: Hold) -> None:
        """Record an entity's hold; one that is on record already keeps its beginning."""
        known = self._recorded.get(entity_id)
        self._now[entity_id] = known if known is not None and known.is_same(hold) else hold
        self._touched[entity_id] = None

    def remove(self, entity_id: str) -> None:
        """Remove an entity's hold, if it has one."""
        if self._now.pop(entity_id, None) is not None:
            self._touched[entity_id] = None

    def clear(self) -> None:
        """Remove all holds: the run has ended."""
        self._touched.update(dict.fromkeys(self._now))
        self._now.clear()

    def take_changes(self) -> dict[str, Hold | None]:
        """Return the holds that differ from the record, None for one that is gone; they count as recorded."""
        if not self._touched:
            return {}
        now, recorded = self._now, self._recorded
        changed = {key: now.get(key) for key in self._touched if now.get(key) is not recorded.get(key)}
        self._touched.clear()
        for key, hold in changed.items():
            if hold is None:
                del recorded[key]
            else:
                recorded[key] = hold
        return changed
