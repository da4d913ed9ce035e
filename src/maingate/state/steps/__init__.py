"""Transitions of the eight machines as values: pure constructors, one module per machine."""
