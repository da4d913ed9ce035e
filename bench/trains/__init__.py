"""Merge queues as planners on a virtual clock: Maingate's train and its peers."""
