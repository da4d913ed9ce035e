"""Queues of targets: the workstreams on board, tests under way, and expected times."""
