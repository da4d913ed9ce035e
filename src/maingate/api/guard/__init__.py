"""The guard of the interface: callers and their rights, rates, and protection of every request."""
