"""Prices, in cents."""


def total(cents):
    """Return the sum of prices."""
    return sum(cents)


def line(name, cents):
    """Return a line of a receipt."""
    return f"{name} {cents / 100:.2f}"
