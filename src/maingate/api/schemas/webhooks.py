"""The receivers of webhooks."""

from pydantic import BaseModel, Field

from maingate.api.schemas.base import Sparse


class WebhookItem(Sparse):
    """A receiver of events, and how it fares."""

    repo: str
    name: str = Field(examples=["chat"])
    url: str = Field(description="Its address without the path.", examples=["https://hooks.example.org/…"])
    filter: str = Field(examples=["type:run state:failed"])
    state: str = Field(description="`new`, `well`, `failing` or `gone`.", examples=["well"])
    trouble: str | None = Field(description="The reason why the server cannot deliver to it.")
    behind: int = Field(description="Rows of the record that were not looked at for it yet.")
    delivered: int
    failed: int = Field(description="Attempts that failed.")
    delivered_at: str | None
    failures: int = Field(description="Attempts that failed since its last event.")
    failure: str | None
    failing_since: str | None
    next_try_at: str | None


class Webhooks(BaseModel):
    """Receivers, by name."""

    items: list[WebhookItem]
