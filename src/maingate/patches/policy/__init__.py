"""What a patch may touch."""
