"""Landing on a branch: the lease, the candidate, and the move of the branch with its checkouts."""
