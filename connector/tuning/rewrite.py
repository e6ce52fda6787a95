"""Chosen values -> a settings file, in which all else stays as it was: other settings, comments, order."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from connector.errors import SettingsError
from connector.settings.file import plain_value
from connector.settings.load import load, load_file_alone, value_at
from connector.settings.sections import Settings
from connector.whole_file import write_whole


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What the chosen values came to: those that the settings lacked, whether they were written, and the variables of
    the environment that go over what was."""

    values: Mapping[str, Any]
    is_written: bool
    overruled: tuple[str, ...] = ()


def rewrite(file: Path, chosen: Mapping[str, Any], *, in_use: Path | None, writes: bool) -> Rewrite:
    """Put what is missing of the chosen values into `file`. Where there is none, it becomes the file `in_use` (None:
    none is) with them. With `writes` false nothing is written.

    Raises SettingsError where a file cannot be used."""
    base = file if file.is_file() else in_use
    values = missing(base, chosen)
    if not writes or not values:
        return Rewrite(values, is_written=False)
    write_settings(file, values, base=base)
    readable = file.is_file()  # and no pipe, which somebody else reads
    return Rewrite(values, is_written=True, overruled=tuple(overruled(file, chosen)) if readable else ())


def missing(file: Path | None, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values, path -> value, that a file by itself (None: the defaults) does not give.

    Raises SettingsError where the file cannot be used."""
    settings = load_file_alone(file) if file else Settings()
    return {path: value for path, value in values.items() if _known(settings, path) != value}


def overruled(file: Path, values: Mapping[str, Any]) -> list[str]:
    """The variables of the environment that go over what the file says, and say something else."""
    loaded = load(file=file)
    settings = loaded.require()
    changed = [path for path, value in values.items() if _known(settings, path) != value]
    return [loaded.given[path].origin for path in changed if path in loaded.given]


def merge(text: str, values: Mapping[str, Any]) -> str:
    """The text of a settings file with these values in it."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 10_000  # nothing is folded anew
    yaml.indent(mapping=2, sequence=4, offset=2)
    try:
        tree = yaml.load(text)
    except YAMLError as error:
        raise SettingsError(
            f"the settings file is not YAML ({type(error).__name__}); write to another with --out"
        ) from None
    if tree is None:  # nothing but comments, which YAML gives no place
        made = io.StringIO()
        yaml.dump(_put(CommentedMap(), values), made)
        return text + ("" if not text or text.endswith("\n") else "\n") + made.getvalue()
    written = io.StringIO()
    yaml.dump(_put(tree, values), written)
    return written.getvalue()


def write_settings(file: Path, values: Mapping[str, Any], *, base: Path | None) -> None:
    """The base file with these values in it, written to `file`, which may be the same. Raises SettingsError."""
    try:
        text = base.read_text(encoding="utf-8") if base else ""
    except OSError as error:
        raise SettingsError(f"cannot read {base} ({error.strerror}); check its path and mode") from None
    try:
        write_whole(file, merge(text, values), like=base)
    except OSError as error:
        raise SettingsError(f"cannot write {file} ({error.strerror}); choose another place with --out") from None


def _put(tree: CommentedMap, values: Mapping[str, Any]) -> CommentedMap:
    """The tree with the values at their paths; what is new comes first in its section, before the comments of
    others."""
    placed: Counter[int] = Counter()  # by section: how many values are new in it
    for path, value in values.items():
        *sections, name = path.split(".")
        branch = tree
        for section in sections:
            if not isinstance(branch.get(section), CommentedMap):
                branch[section] = CommentedMap()
            branch = branch[section]
        if name in branch:
            branch[name] = _plain(value)
        else:
            branch.insert(placed[id(branch)], name, _plain(value))
            placed[id(branch)] += 1
    return tree


def _known(settings: Settings, path: str) -> Any:
    """The value of a setting; None also where nothing of that name is there."""
    try:
        return value_at(settings, path)
    except KeyError:
        return None


def _plain(value: Any) -> Any:
    """A list on one line, one stage alone without a list; anything else as it is."""
    plain = plain_value(value)
    if not isinstance(plain, list):
        return plain
    if len(plain) == 1 and isinstance(plain[0], dict):
        mapping = CommentedMap(plain[0])
        mapping.fa.set_flow_style()
        return mapping
    sequence = CommentedSeq(plain)
    sequence.fa.set_flow_style()
    return sequence
