"""Work at a target branch: its lease, the cleanup after killed processes, and the followers of the ledger."""
