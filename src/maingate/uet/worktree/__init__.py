"""The worktree of a slot: moved from commit to commit, with what is kept in it."""
