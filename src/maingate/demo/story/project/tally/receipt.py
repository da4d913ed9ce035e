"""Receipts: items and their prices."""

from tally.money import dollars


class Receipt:
    """Items that were bought."""

    def __init__(self):
        self.lines = []

    def add(self, name, cents, quantity=1):
        """Add an item."""
        self.lines.append((name, cents, quantity))

    def total(self):
        """Return the sum of all lines, in cents."""
        return sum(cents * quantity for name, cents, quantity in self.lines)

    def text(self):
        """Return the receipt, a line per item."""
        rows = [f"{name} {dollars(cents)}" for name, cents, quantity in self.lines]
        return "\n".join([*rows, f"TOTAL {dollars(self.total())}"])
