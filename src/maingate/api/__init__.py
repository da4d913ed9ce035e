"""The HTTP interface: reads through `queries`, acts through `services`."""
