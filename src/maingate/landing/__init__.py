"""Landing on a branch: who may, and how the branch and its checkouts move together."""
