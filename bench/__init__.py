"""Benchmarks: ``python -m bench NAME [--json]``; every figure stands beside a peer's of the same run."""
