"""The client of the HTTP interface: one implementation, for synchronous and for asynchronous programs.

    from maingate.client import Client

    with Client("http://127.0.0.1:8470") as client:
        run = client.submit(read_submission(Path("plan.yaml")))
        for event in client.follow(run=run.id):
            print(event.event_type, event.to_state)

`AsyncClient` has the same methods, to be awaited. `verify_webhook` is for programs that are sent events.
"""

from maingate.client.clients import AsyncClient, Client
from maingate.client.failures import RefusedError, ServerFaultError
from maingate.client.results import Event, EventTable, Page, Patch, Reason, Run, Task
from maingate.client.submission import PlanSource, read_submission
from maingate.webhook_signature import InvalidWebhookError, verify_webhook

__all__ = [
    "AsyncClient",
    "Client",
    "Event",
    "EventTable",
    "InvalidWebhookError",
    "Page",
    "Patch",
    "PlanSource",
    "Reason",
    "RefusedError",
    "Run",
    "ServerFaultError",
    "Task",
    "read_submission",
    "verify_webhook",
]
