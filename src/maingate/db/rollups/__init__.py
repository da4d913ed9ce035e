"""Roll-ups of the ledger: counts of events and measures, by hour and of all time."""
