"""The page at ``/``: rendered by the server, readable without scripts, kept live by server-sent events."""
