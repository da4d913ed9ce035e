"""The JSON Schema and the reference page say what the model has."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from maingate.plan.definitions import GateDefinition, ToolDefinition, ToolLimits
from maingate.plan.loader import load_plan
from maingate.plan.model import Plan, TaskPlan, WorkstreamPlan
from maingate.plan.writers.json_schema import plan_schema
from maingate.settings.policy_layer import PolicyLayer

PAGE = (Path(__file__).parents[3] / "docs" / "PLAN_FILE.md").read_text(encoding="utf-8")
SECTIONS: dict[str, type[BaseModel]] = {
    "The plan": Plan,
    "Workstreams": WorkstreamPlan,
    "Tasks": TaskPlan,
    "Gates": GateDefinition,
    "Tools": ToolDefinition,
    "Limits": ToolLimits,
    "Policy": PolicyLayer,
}


def values_of(schema: Any, key: str) -> Iterator[Any]:
    """Yield what stands under a key anywhere in a schema."""
    if isinstance(schema, dict):
        if key in schema:
            yield schema[key]
        for value in schema.values():
            yield from values_of(value, key)
    elif isinstance(schema, list):
        for value in schema:
            yield from values_of(value, key)


def test_the_schema_is_whole() -> None:
    """It is plain JSON, every reference in it leads somewhere, and the needful is required."""
    schema = json.loads(json.dumps(plan_schema()))
    assert {ref.rsplit("/", maxsplit=1)[1] for ref in values_of(schema, "$ref")} <= set(schema["$defs"])
    assert schema["required"] == ["maingate", "workstreams"]
    assert schema["properties"]["maingate"]["const"] == 1


def test_the_schema_refuses_unknown_keys_everywhere() -> None:
    """Each part of a plan has exactly the keys of its model, each with its meaning."""
    schema = plan_schema()
    parts = {
        "Plan": schema,
        **{model.__name__: schema["$defs"][model.__name__] for model in [*SECTIONS.values()][1:]},
    }
    for model in SECTIONS.values():
        part = parts[model.__name__]
        assert part["additionalProperties"] is False
        assert set(part["properties"]) == set(model.model_fields)
        assert [name for name, info in model.model_fields.items() if not info.description] == []


def test_the_page_describes_exactly_the_keys_of_the_model() -> None:
    """Each table of docs/PLAN_FILE.md has the keys of its model in the model's order."""
    for title, model in SECTIONS.items():
        section = re.split(r"^## ", PAGE, flags=re.MULTILINE)
        (text,) = [part for part in section if part.startswith(f"{title}\n")]
        assert re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE) == list(model.model_fields)


def test_the_example_of_the_page_is_in_order(tmp_path: Path) -> None:
    """The example loads, once its patches are there."""
    example = PAGE.split("```yaml\n")[1].split("```")[0]
    for patch in re.findall(r"patches/[\w-]+\.patch", example):
        (tmp_path / patch).parent.mkdir(exist_ok=True)
        (tmp_path / patch).touch()
    (tmp_path / "plan.yaml").write_text(example, encoding="utf-8")
    loaded = load_plan(tmp_path / "plan.yaml", cwd=tmp_path, environ={"PATH": os.defpath})
    assert loaded.plan.task_gates("parser", "tokenizer") == ["lint", "unit"]
    assert loaded.plan.landing_gates("parser") == ["lint", "unit", "slow"]
    assert loaded.plan.landing_gates("docs") == ["lint"]
