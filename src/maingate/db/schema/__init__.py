"""The schema: tables, triggers, and the kinds of the roll-ups."""
