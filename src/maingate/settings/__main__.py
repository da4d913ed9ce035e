"""Print the documentation page of the settings: ``python -m maingate.settings > docs/SETTINGS.md``."""

from maingate.settings.reference import markdown

print(markdown(), end="")  # noqa: T201  # what this module is run for
