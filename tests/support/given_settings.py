"""Settings as tests give them, and which of them are secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from connector.settings.load import load_settings
from connector.settings.sections import Settings

SECRETS = (
    "search.cursor_key",
    "cluster.password",
    "cluster.api_key",
    "cluster.bearer_token",
    "encoder.api_key",
    "rerankers.local.api_key",
    "worker.api_keys",
    "models.maven_password",
    "judge.api_key",
    "kafka.password",
    "postgres.password",
)


def load(text: str = "", environ: dict[str, str] | None = None, **overrides: Any) -> Settings:
    """Settings from a file, an environment, and overrides with __ for the dot."""
    file = Path("settings.yaml")
    file.write_text(text, encoding="utf-8")
    layer = {name.replace("__", "."): value for name, value in overrides.items()}
    return load_settings(file=file, environ=environ or {}, overrides=layer)


def value_at(settings: Settings, path: str) -> Any:
    """What a path of the settings holds; of a secret, the secret itself."""
    value: Any = settings
    for name in path.split("."):
        value = value[name] if isinstance(value, dict) else getattr(value, name)
    return value.get_secret_value() if path in SECRETS and value is not None else value
