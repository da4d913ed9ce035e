"""The reference of settings is that of the model."""

import re
import tomllib
from pathlib import Path

from maingate.settings import Settings, load_settings
from maingate.settings.environment_settings import variables
from maingate.settings.model import (
    NEVER_FROM_A_TREE,
    RULES_BY_NAME,
    GateLimits,
    ServerSettings,
    WebhookSettings,
)
from maingate.settings.policy_layer import PolicyLayer
from maingate.settings.reference import commented_toml, markdown

PROJECT = Path(__file__).parents[2]


def test_the_documentation_page_is_up_to_date() -> None:
    """docs/SETTINGS.md is what `python -m maingate.settings` prints."""
    assert (PROJECT / "docs" / "SETTINGS.md").read_text(encoding="utf-8") == markdown()


def test_every_setting_says_what_it_is_and_its_default() -> None:
    """Each field of the settings that need not be set is documented and says what it defaults to."""
    models = (Settings, GateLimits, ServerSettings, WebhookSettings, PolicyLayer)
    fields = [
        info
        for model in models
        for name, info in model.model_fields.items()
        if name not in ("limits", "server", "webhooks", "policy") and not info.is_required()
    ]
    assert [info.description for info in fields if "Defaults to" not in str(info.description)] == []


def test_the_page_names_every_variable() -> None:
    """Each environment variable that is read is on the page."""
    assert [name for name in variables() if f"`{name}`" not in markdown()] == []


def test_the_commented_file_changes_nothing(tmp_path: Path) -> None:
    """As written by `maingate init`, the file leaves every default."""
    (tmp_path / "maingate.toml").write_text(commented_toml(), encoding="utf-8")
    assert load_settings(tmp_path, {}) == Settings()


def test_the_commented_file_is_valid_without_its_comment_signs() -> None:
    """Each line that shows a key is a setting that the model takes; every key is shown that it may have."""
    text = re.sub(r"^# (?=\w+ = )", "", commented_toml(), flags=re.MULTILINE)
    values = tomllib.loads(text)
    Settings.model_validate(values)
    assert set(values) == set(Settings.model_fields).difference(NEVER_FROM_A_TREE, RULES_BY_NAME)
    assert "[gates.unit]" in text
    assert [name for name in NEVER_FROM_A_TREE if name not in commented_toml()] == []
    assert set(values["limits"]) == set(GateLimits.model_fields)
    assert set(values["policy"]) == set(PolicyLayer.model_fields)
