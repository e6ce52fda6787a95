"""Whatever is in a file, the environment or an override: settings, or an error that names what is wrong."""

from __future__ import annotations

import contextlib
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.given_settings import load

from connector.errors import SettingsError
from connector.settings.given import parse_value
from connector.settings.load import load_settings, setting_names, setting_paths
from connector.settings.names import env_name
from connector.settings.sections import Settings


@given(st.text())
def test_any_text_is_a_value(text: str) -> None:
    value = parse_value(text)

    assert value == text or text.lstrip()[0] in "[{"


@given(
    st.dictionaries(
        st.sampled_from([*setting_paths(), "search", "a.b", "cluster"]),
        st.none() | st.integers() | st.text() | st.lists(st.integers()),
        max_size=4,
    )
)
def test_any_overrides_are_settings_or_a_settings_error(overrides: dict[str, Any]) -> None:
    with contextlib.suppress(SettingsError):
        load_settings(environ={}, overrides=overrides)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def trees(draw: st.DrawFn) -> dict[str, Any]:
    """Sections as the settings have them, with anything at some of their places."""
    tree: dict[str, Any] = {}
    for path in draw(st.lists(st.sampled_from([*setting_paths(), *setting_names().sections, "serch.k"]), max_size=5)):
        *sections, name = path.split(".")
        branch = tree
        for section in sections:
            inner = branch.setdefault(section, {})
            branch = inner if isinstance(inner, dict) else branch
        branch[name] = draw(anything)
    return tree


@given(trees())
def test_any_tree_in_a_file_is_settings_or_a_settings_error(tree: dict[str, Any]) -> None:
    with contextlib.suppress(SettingsError):
        assert isinstance(load(yaml.safe_dump(tree, allow_unicode=True)), Settings)


@given(st.text() | st.text(alphabet="[]{}:,-?*&!|>'\"%@`#<~ \n\tab1"))
def test_any_text_in_a_file_is_settings_or_a_settings_error(text: str) -> None:
    with contextlib.suppress(SettingsError):
        load(text.encode(errors="replace").decode())


@given(st.dictionaries(st.sampled_from([env_name(path) for path in setting_paths()]), st.text()))
def test_any_text_in_the_environment_is_settings_or_a_settings_error(environ: dict[str, str]) -> None:
    with contextlib.suppress(SettingsError):
        load_settings(environ=environ)
