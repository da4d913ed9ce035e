"""What is watched while runs work."""
