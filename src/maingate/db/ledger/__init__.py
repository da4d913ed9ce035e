"""The ledger: its running hash, the hashes of its rows, facts, and the columns that are evidence."""
