"""Amounts of money, in cents."""


def dollars(cents):
    """Return an amount for people."""
    return f"${cents / 100:.2f}"
