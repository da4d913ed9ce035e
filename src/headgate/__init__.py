"""Headgate lands patches: nothing reaches your branch without passing the gate."""

from importlib.metadata import version

__version__ = version("headgate")
