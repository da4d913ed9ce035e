"""Workers on this machine: processes, their slots, and how one carries a job out."""
