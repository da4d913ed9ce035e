"""The pure core of a run: a picture and an event give transitions and effects."""
