"""A plan as it is submitted: the object of a request."""

import base64
import binascii
from typing import Any

from pydantic import BaseModel, Field

from maingate.api.answers.json_answer import rendered
from maingate.api.answers.problems import HttpProblemError
from maingate.services.http.uploads import Upload


class Base64(BaseModel):
    """The content of a file that is no UTF-8 text."""

    base64: str


class PlanSubmission(BaseModel):
    """A plan with the files that it names."""

    plan: dict[str, Any] | str = Field(
        description="The plan as an object, or as the text of a YAML or JSON file."
    )
    files: dict[str, str | Base64] = Field(
        {}, description="The content of each file that the plan names, by its path relative to the plan."
    )
    workers: int | None = Field(None, ge=1, le=1024, description="How many gates run at once.")
    budget_usd: float | None = Field(None, gt=0, description="Budget of all tools together.")

    def upload(self) -> Upload:
        """Return the plan and the content of its files."""
        text = self.plan if isinstance(self.plan, str) else rendered(self.plan)
        files = {name: content_of(f"files.{name}", each) for name, each in self.files.items()}
        return Upload(plan=text.encode(errors="surrogatepass"), files=files)


def content_of(name: str, given: str | Base64) -> bytes:
    """Return the bytes that are given as text or as base64.

    Raises:
        HttpProblemError: It is no base64.
    """
    if isinstance(given, str):
        return given.encode(errors="surrogatepass")
    try:
        return base64.b64decode(given.base64, validate=True)
    except (binascii.Error, ValueError) as error:
        raise HttpProblemError(422, "invalid_request", f"{name}: it is no base64") from error
