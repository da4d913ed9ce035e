"""Runs: admitted, created, carried out to their end, and watched from other processes."""
