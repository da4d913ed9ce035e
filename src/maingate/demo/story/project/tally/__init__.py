"""Adds up receipts."""
