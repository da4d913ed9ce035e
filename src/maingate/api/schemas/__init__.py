"""The JSON objects of the interface, as its description has them.

The answers are made by `queries`; the tests hold them against these models. Fields may be left out of an
answer with `fields`, so none is marked as required in the description.
"""
