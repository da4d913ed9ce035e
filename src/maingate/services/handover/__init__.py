"""The hand-over of runs to a server that serves their repository."""
