"""Requests to land finished work, of the command line and of the interface: planned, tried and admitted."""
