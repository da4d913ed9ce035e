"""``maingate inbox``: list the open matters that a person has to decide."""

from maingate.cli.output import console, print_json
from maingate.cli.record_reading import AsJson, opened_for_reading


def inbox(as_json: AsJson = False) -> None:
    """List everything that needs you, each with the command that ends it."""
    items = []
    if (maingate := opened_for_reading()) is not None:
        from maingate.queries.inbox import open_matters

        with maingate:
            items = open_matters.inbox(maingate.context)
    if as_json:
        print_json([item.as_json() for item in items])
        return
    from maingate.cli.views.inbox import print_inbox

    print_inbox(console(), items)
