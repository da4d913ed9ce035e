"""The queue of the target: the workstreams on board, what is built and judged of them; the car that lands."""
