"""Print the documentation page of the settings: ``python -m headgate.settings > docs/SETTINGS.md``."""

from headgate.settings.reference import markdown

print(markdown(), end="")  # noqa: T201  # what this module is run for
