"""The JSON Schema of plan files, for editors and for programs that write plans."""

from typing import Any, Final

from maingate.plan.model import FORMAT_VERSION, Plan

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def plan_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the plan format.

    Rules that it cannot express (names that must exist, circles, files, keys that are inherited) are checked
    by `maingate plan check`. Editors use the schema in YAML files too, by a first line such as
    ``# yaml-language-server: $schema=plan.schema.json``.
    """
    schema = Plan.model_json_schema()
    schema["$defs"]["GateDefinition"].pop("required")  # an inherited gate has its `run` already
    return {
        "$schema": DIALECT,
        **schema,
        "title": f"Maingate plan, version {FORMAT_VERSION}",
        "description": "What to land on a branch, in which order, and what must hold before it does.",
    }
