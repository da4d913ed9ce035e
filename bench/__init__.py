"""Benchmarks: ``python -m bench NAME [--json]``. Every figure stands beside a peer's or a floor's from the same run."""
