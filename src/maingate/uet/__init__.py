"""Patch handling: intake, policy, apply, gates, worktrees, and the typed git commands below them."""
