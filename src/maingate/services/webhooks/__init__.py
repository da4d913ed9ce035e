"""Webhooks: events of the ledger are sent to receivers over HTTP, signed, in order, and at least once.

The ledger is the outbox: an event is in it with the commit that it is about, and a receiver's position says
which it has taken.
"""
