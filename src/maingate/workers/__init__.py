"""Worker processes and the pool that starts, feeds and ends them."""
