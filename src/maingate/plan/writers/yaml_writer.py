"""Plans as readable YAML; reading it gives the same plan."""

from typing import Any, Final

import yaml

from maingate.plan.readers.yaml_reader import add_core_schema

_Base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_WIDTH: Final = 110


class _PlanDumper(_Base):  # type: ignore[misc]  # whichever of the two dumpers this PyYAML has
    def ignore_aliases(self, data: object) -> bool:
        """Write every value out, without anchors such as `&id001`."""
        return data is not None


def _text(dumper: Any, text: str) -> Any:
    """Represent text of several lines as a block, unless a block would change it."""
    as_block = "\n" in text and _fits_block(text)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if as_block else None)


def _fits_block(text: str) -> bool:
    return text[0] not in " \n" and all(
        line.isprintable() and line == line.rstrip() for line in text.split("\n")
    )


# Quote what either schema would take for something else: the dumper's own (1.1) and the reader's (1.2 core).
add_core_schema(_PlanDumper)
_PlanDumper.add_representer(str, _text)


def write_yaml(data: Any) -> str:
    """Return plan data as YAML text, keys in the order given."""
    text: str = yaml.dump(
        data, Dumper=_PlanDumper, sort_keys=False, allow_unicode=True, width=_WIDTH, default_flow_style=False
    )
    return text
