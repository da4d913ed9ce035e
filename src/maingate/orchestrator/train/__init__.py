"""The train: items of a queue are tested together, landed in order, and blamed rightly. Pure.

``planner.plan_train`` computes the next steps from a ``TrainState`` alone, anew after each event. It reads no
clock and knows no order of messages: facts are recorded at chains (``chains``), and a late, second or
unexpected verdict is a fact like any other.

The caller keeps a ``TrainFacts`` and tells it of

* each finished run, with the ``WantedRun`` that it was started as (``record``); a fault of the infrastructure
  is no run, and a chain whose tree has a known verdict gets this recorded in place of one;
* each landing (``landed``) and each item that is refused or leaves (``left``). When the target is moved by
  others, ``root`` becomes a new chain.

With each question it gives the queue in landing order, without what has left, each item with the risk and
the time that the record shows for its kind, the conflicts that were found when chains were built, and whether
its own gates have passed; the runs under way as the last plan had them; and the number of workers. It carries
out ``cancel``, ``start``, ``land`` and ``blame``, and asks again after each event.
"""
