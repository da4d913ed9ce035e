"""Comparison of the file ``transitions.jsonl`` with the ledger, line by line.

The file may lag: rows after its last line, and an incomplete last line, are no findings. Every other line
must be as its row.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from maingate.db.audit.findings import AuditFinding
from maingate.db.dao.history.event_lines import line_of
from maingate.db.transition_log import foreign_file, parsed_line
from maingate.errors import DatabaseError


@dataclass(frozen=True, kw_only=True, slots=True)
class _LoggedLine:
    """The part of a line that is kept for comparison.

    Args:
        number: Its number in the file.
        event_id: Its event.
        hash: The hash of its row.
        content: A digest of its content.
    """

    number: int
    event_id: str
    hash: str
    content: bytes


class LogCheck:
    """A comparison of the file with the ledger's rows, which are passed to it in any order.

    It must be made before the transaction that reads the rows, so that every line has its row.

    Args:
        path: The file; without one there are no findings.

    Raises:
        DatabaseError: The file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path: Final = path
        self._lines: Final[dict[int, _LoggedLine]] = {}
        self._unreadable: Final[list[tuple[int, int]]] = []  # first and last of neighbours
        self._misplaced: Final[list[AuditFinding]] = []
        self._changed: Final[list[AuditFinding]] = []
        self._rows: Final[list[int]] = []
        self._known: Final[set[int]] = set()  # numbers of the lines whose row is there
        self._has_own = False
        try:
            self._read()
        except FileNotFoundError:
            pass
        except OSError as error:
            raise DatabaseError(f"the file of transitions {path} cannot be read: {error}") from error

    def see(self, row: Mapping[str, Any]) -> None:
        """Compare one row of the ledger with its line."""
        seq = row["seq"]
        self._rows.append(seq)
        line = self._lines.get(seq)
        if line is None:
            return
        self._known.add(seq)
        self._has_own = self._has_own or line.event_id == row["event_id"]
        if line.hash != row["hash"]:
            problem = f"the row is not line {line.number} of the file of transitions: one was rewritten"
        elif line.content != _content_of_row(row):
            problem = f"line {line.number} of the file of transitions does not say what the row says"
        else:
            return
        self._changed.append(
            AuditFinding(
                entity_type=row.get("entity_type"), entity_id=row["entity_id"], seq=seq, problem=problem
            )
        )

    def findings(self) -> Iterator[AuditFinding]:
        """Return the findings, after all rows were compared."""
        if self._lines and not self._has_own:
            yield _about_file(None, foreign_file(self._path, "none of its lines is there"))
            return
        yield from self._changed
        yield from self._misplaced
        for first, last in self._unreadable:
            which = f"line {first}" if first == last else f"lines {first} to {last}"
            yield _about_file(None, f"{which} of the file of transitions cannot be read")
        for first, last in _stretches(sorted(self._lines), self._known):
            what = "it" if first == last else f"rows {first} to {last}"
            yield _about_file(first, f"the file of transitions has {what}, the audit does not")
        end = max(self._known, default=0)
        for first, last in _stretches(sorted(seq for seq in self._rows if seq < end), self._known):
            which = f"the line of row {first}" if first == last else f"lines of rows {first} to {last}"
            yield _about_file(first, f"the file of transitions lacks {which}")

    def _read(self) -> None:
        before = 0
        with self._path.open("rb") as lines:
            for number, raw in enumerate(lines, 1):
                if not raw.endswith(b"\n"):
                    return  # torn: the next writer cuts it off
                line = parsed_line(raw)
                if line is None:
                    is_next = self._unreadable and self._unreadable[-1][1] == number - 1
                    first = self._unreadable.pop()[0] if is_next else number
                    self._unreadable.append((first, number))
                    continue
                seq = line["seq"]
                if seq <= before:
                    wrong = "is there twice" if seq in self._lines else "is out of order"
                    self._misplaced.append(
                        _about_file(seq, f"line {number} of the file of transitions {wrong}")
                    )
                before = seq
                self._lines.setdefault(
                    seq,
                    _LoggedLine(
                        number=number, event_id=line["event_id"], hash=line["hash"], content=_content(line)
                    ),
                )


def _content(line: dict[str, Any]) -> bytes:
    text = json.dumps(line, ensure_ascii=True, separators=(",", ":"), sort_keys=True)
    return sha256(text.encode("ascii")).digest()


def _content_of_row(row: Mapping[str, Any]) -> bytes | None:
    """Return the digest of the line that a row should have; None if the row was made unreadable."""
    try:
        return _content(line_of(row))
    except (ValueError, TypeError, OverflowError, AttributeError):
        return None


def _about_file(seq: int | None, problem: str) -> AuditFinding:
    return AuditFinding(entity_type=None, entity_id=None, seq=seq, problem=problem)


def _stretches(numbers: Iterable[int], known: set[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and last of every run of unknown numbers."""
    for is_known, stretch in groupby(numbers, key=known.__contains__):
        if not is_known:
            first, *rest = stretch
            yield first, rest[-1] if rest else first
