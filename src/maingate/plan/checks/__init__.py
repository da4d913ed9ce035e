"""Checks of a plan that a single field cannot make; each yields its findings and goes on."""
