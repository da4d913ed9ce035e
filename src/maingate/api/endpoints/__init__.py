"""The endpoints of the interface, a module for each kind of thing, and what several of them share."""
