"""Those who take part in `bench.engine`, each a module that does one case in a process of its own.

``python -m bench.engines.NAME CASE LEVEL FOLDER COUNT`` prints one JSON object with the ``seconds`` it took.
LEVEL is SQLite's ``synchronous`` and the journal is a WAL for all: with ``FULL`` every commit survives a
power cut (what DBOS and Huey have by default), with ``NORMAL`` every commit survives the death of any process
(what Maingate has by default).
"""
