"""Policy: the limits on what a patch may touch."""
