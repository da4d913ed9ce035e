"""A patch on a tree: where it stands, what has to come out, and what the history holds already."""
