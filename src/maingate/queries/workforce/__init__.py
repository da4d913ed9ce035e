"""The workers with their jobs, and the circuit breakers of tools."""
