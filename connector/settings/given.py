"""What a user gives of the settings: connector.yaml, CONNECTOR_* and flags, each read into values that remember where
they stand.

What a setting means is not known here, only its path. No message repeats a value, which may be a secret."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import SafeConstructor

from connector.settings.names import ENV_PREFIX, FILE_SUFFIX, SettingNames, repeatable
from connector.settings.search import OFF

FLAG = "flag"
MAX_SECRET_BYTES = 65_536
NULL = "null"
NULL_TAG = "tag:yaml.org,2002:null"
# what Kubernetes puts into every pod for a service called connector, connector-worker, ...
SERVICE_LINK = re.compile(
    r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP)(_PROTO|_PORT|_ADDR)?)=.*|\w+_PORT=(tcp|udp)://.*"
)


@dataclass(frozen=True, slots=True)
class GivenValue:
    """What a source says of one setting, and where it stands: `connector.yaml:3`, `CONNECTOR_SEARCH_K`, `flag`.

    Of a secret also: the file that holds its text, and whether that text stands where it can be seen by others."""

    value: Any = field(repr=False)
    origin: str
    file: Path | None = None
    exposed: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a source cannot be used, and where."""

    message: str
    origin: str = ""

    def __str__(self) -> str:
        return f"{self.origin}: {self.message}" if self.origin else self.message


class Unusable(Exception):
    """A value that cannot be used; its text says why."""


class SourceValues:
    """The values that one source gives, by path, and what is wrong with it. In a source of text, which has no other
    way to say it, `null` means no value wherever a setting may have none."""

    def __init__(self, names: SettingNames, environ: Mapping[str, str], *, is_text: bool = False) -> None:
        self.given: dict[str, GivenValue] = {}
        self.problems: list[Problem] = []
        self._names = names
        self._environ = environ
        self._is_text = is_text

    def add(self, path: str, given: GivenValue) -> None:
        """Take what is given at a path: a setting, or a whole section."""
        if self._names.is_setting(path):
            self._add_setting(path, given)
        elif not self._names.is_section(path):
            self.problems.append(Problem(self._names.unknown(path), given.origin))
        elif isinstance(given.value, Mapping) and given.value:
            for name, value in given.value.items():
                self.add(f"{path}.{name}", replace(given, value=value))
        elif self._names.is_named(path) and (not given.value or given.value in OFF):
            self.given[path] = replace(given, value=False if given.value in OFF else {})  # there, or off
        elif given.value:
            self.problems.append(Problem(f"{path!r} is a section: write its settings below it", given.origin))

    def _add_setting(self, path: str, given: GivenValue) -> None:
        if self._is_text and given.value == NULL and self._names.is_optional(path):
            given = GivenValue(None, given.origin)
        if self._names.is_secret(path):
            try:
                given = _secret(given, self._environ)
            except Unusable as error:
                self.problems.append(Problem(f"{path}: {error}", given.origin))
                return
        self.given[path] = given


def read_file(path: Path, names: SettingNames, environ: Mapping[str, str]) -> SourceValues:
    """The values of a YAML file; each stands at its line."""
    values = SourceValues(names, environ)
    try:
        root = _compose(path)
        if root is not None:
            _walk(root, "", path, values, names)
    except Unusable as error:
        values.problems.append(Problem(str(error)))
    return values


def read_environment(environ: Mapping[str, str], names: SettingNames) -> SourceValues:
    """The values of CONNECTOR_* variables; empty ones, and those that Kubernetes makes for services, are not given."""
    values = SourceValues(names, environ, is_text=True)
    for name, text in environ.items():
        if not name.startswith(ENV_PREFIX) or not text or SERVICE_LINK.fullmatch(f"{name}={text}"):
            continue
        if path := names.of_file_variable(name):
            if environ.get(name.removesuffix(FILE_SUFFIX)):
                values.problems.append(
                    Problem(f"{name} and {name.removesuffix(FILE_SUFFIX)} are both given; keep one of the two")
                )
            values.add(path, GivenValue({"file": text}, name))
        elif path := names.of_variable(name):
            values.add(path, GivenValue(text if names.is_secret(path) else parse_value(text), name))
        else:
            values.problems.append(Problem(names.unknown_variable(name)))
    return values


def read_overrides(overrides: Mapping[str, Any], names: SettingNames, environ: Mapping[str, str]) -> SourceValues:
    """The values that are given on top by path; None is not given, `null` takes back what is given below."""
    values = SourceValues(names, environ, is_text=True)
    tree: dict[str, Any] = {}
    for path, value in overrides.items():
        if value is not None and not _put(tree, path, value):
            values.problems.append(Problem(f"cannot set {repeatable(path)!r}: what is above it has a value"))
    for name, value in tree.items():
        values.add(name, GivenValue(value, FLAG, exposed=True))
    return values


def parse_value(text: str) -> Any:
    """The text of a flag or variable: lists and objects as YAML, anything else as it is (the settings know their
    types)."""
    if text.lstrip()[:1] not in ("[", "{"):
        return text
    try:
        return _read_yaml(partial(yaml.safe_load, text))
    except Unusable:
        return text


def read_secret(name: str) -> str:
    """The text of a secret's own file without the line break at its end. Raises Unusable."""
    file = f"the file {name}" if name.startswith(("/", "~", "./", "../")) else "the file named there"  # or the secret?
    try:
        with open(Path(name).expanduser(), "rb") as stream:
            content = stream.read(MAX_SECRET_BYTES + 1)
        text = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise Unusable(f"{file} is not UTF-8 text") from None
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "it is no path"
        raise Unusable(f"{file} cannot be read ({reason}); check its path and mode") from None
    if not text:
        raise Unusable(f"{file} is empty; write the secret into it")
    if len(content) > MAX_SECRET_BYTES:
        raise Unusable(f"{file} is longer than {MAX_SECRET_BYTES} bytes; is it the right one?")
    return text


def _secret(given: GivenValue, environ: Mapping[str, str]) -> GivenValue:
    """What is given for a secret with its text in place of a reference. Raises Unusable."""
    match given.value:
        case None | str():
            return given
        case {"file": str(name), **rest} if not rest:
            return GivenValue(read_secret(name), f"{given.origin} (file {name})", file=Path(name).expanduser())
        case {"env": str(name), **rest} if not rest:
            if not environ.get(name):
                raise Unusable(
                    "the environment has no such variable"
                    + (f" as {name}" if re.fullmatch("[A-Z][A-Z0-9_]*", name) else "")
                )
            return GivenValue(environ[name], f"{given.origin} (variable {name})")
    raise Unusable("a secret is text in quotes, {file: PATH} or {env: NAME}")


def _put(tree: dict[str, Any], path: str, value: Any) -> bool:
    """Set the value at a path of a tree; whether there is room for it."""
    *sections, name = path.split(".")
    for section in sections:
        tree = tree.setdefault(section, {})
        if not isinstance(tree, dict):
            return False
    tree[name] = value
    return True


def _compose(path: Path) -> yaml.MappingNode | None:
    """The nodes of a YAML file. Raises Unusable."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Unusable(f"there is no settings file {path}") from None
    except OSError as error:
        raise Unusable(f"{path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise Unusable(f"{path} is not YAML: it is not UTF-8 text") from None
    try:
        root: Any = _read_yaml(partial(yaml.compose, text, Loader=yaml.SafeLoader))
    except Unusable as error:
        raise Unusable(f"{path} is not YAML: {error}") from None
    if root is None or root.tag == NULL_TAG:
        return None
    if not isinstance(root, yaml.MappingNode):
        raise Unusable(f"{path} must hold sections such as 'cluster:' and 'search:'")
    return root


def _walk(node: yaml.MappingNode, prefix: str, path: Path, values: SourceValues, names: SettingNames) -> None:
    """Add all that a mapping holds to the values, section by section."""
    lines: dict[str, int] = {}
    for key, value, line in _entries(node, path, values):
        name, origin = prefix + key, f"{path}:{line}"
        if key in lines:
            values.problems.append(
                Problem(f"{repeatable(name)!r} is also in line {lines[key]}; keep one of the two", origin)
            )
        lines[key] = line
        if names.is_section(name) and isinstance(value, yaml.MappingNode) and value.value:
            _walk(value, f"{name}.", path, values, names)
            continue
        try:
            found = _read_yaml(partial(SafeConstructor().construct_document, value))
        except Unusable as error:
            values.problems.append(Problem(f"{repeatable(name)}: {error}", origin))
        else:
            is_secret = names.is_secret(name)
            values.add(name, GivenValue(found, origin, file=path if is_secret else None, exposed=is_secret))


def _entries(node: yaml.MappingNode, path: Path, values: SourceValues) -> Iterator[tuple[str, yaml.Node, int]]:
    """(key, value, line) of a mapping; what `<<` brings in counts where the mapping has no such key itself."""
    own = {key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)}
    before = list(node.value)
    _read_yaml(partial(SafeConstructor().flatten_mapping, node))
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            values.problems.append(Problem("the name of a setting must be a word", f"{path}:{line}"))
        elif (key, value) in before or key.value not in own:
            yield key.value, value, line


def _read_yaml(read: Callable[[], Any]) -> Any:
    """What `read` gives; whatever PyYAML raises becomes Unusable, in its own words only where they quote nothing."""
    try:
        return read()
    except yaml.MarkedYAMLError as error:
        problem = error.problem or ""
        words = problem if problem and not set(problem) & set("'\"`") else "it cannot be read"
        raise Unusable(words + (f", line {error.problem_mark.line + 1}" if error.problem_mark else "")) from None
    except yaml.YAMLError:  # its reader's, which has no mark: a character that no YAML holds
        raise Unusable("a control character is in it; check how it was written") from None
    except RecursionError:
        raise Unusable("it is nested too deeply") from None
    except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError):
        # its constructors hand on what int(), date() and their like raise, or stumble over what they did not expect;
        # the error is not logged, as it may quote a secret
        raise Unusable("a value in it cannot be read; put it in quotes") from None
