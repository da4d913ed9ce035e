"""The view of a simulated plan."""

from io import StringIO

from rich.console import Console

from maingate.cli.views.simulation import print_simulation

TOLD = {
    "workstreams": 1,
    "tasks": 1,
    "times": [
        {"kind": "gate", "name": "unit", "p50": 40.0, "p90": 65.0, "count": 12, "is_assumed": False},
        {"kind": "command", "name": "", "p50": 60.0, "p90": 60.0, "count": 0, "is_assumed": True},
    ],
    "failure_rate": {"rate": 0.125, "source": "record", "failed": 1, "ended": 8},
    "critical_path": {"seconds": 100.0, "workstreams": ["w"]},
    "parallelism": {"work_seconds": 100.0, "average": 1.0, "most": 1},
    "estimates": [],
    "plays": 100,
    "seed": 0,
    "note": "",
}


def test_times_on_record_are_told_with_their_number_behind_those_assumed() -> None:
    """A figure that rests on little can be seen to."""
    told = StringIO()
    print_simulation(Console(file=told, width=120), "p.yaml", TOLD)
    said = told.getvalue().splitlines()
    assert said[1:4] == [
        "  no record of command yet: 60 s assumed",
        "  gate unit: 40.0s to 1m05s (12 on record)",
        "  failures: 12.5% of workstreams (1 of 8 workstreams on record)",
    ]
