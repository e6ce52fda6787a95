"""What settings are called: their paths in a file, their variables in the environment, and what a wrong name may mean.

A `*` in a path stands for a name that the user gives: `rerankers.*.url` is the url of every reranker. A second one
stands for any setting: what a plug-in is told is known to it alone, and is a secret where the last word of its name is
one of SECRET_WORDS."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

ENV_PREFIX = "CONNECTOR_"
FILE_SUFFIX = "_FILE"
ANY_KEY = ".*.*"  # of a section whose settings are not known here: plugins.NAME.KEY
SECRET_WORDS = frozenset({"key", "token", "password", "secret", "credentials", "dsn"})


@dataclass(frozen=True)
class SettingNames:
    """The paths that settings have, which of them are secrets, and which may have no value."""

    paths: tuple[str, ...]
    secrets: frozenset[str]
    optional: frozenset[str] = frozenset()

    @cached_property
    def sections(self) -> frozenset[str]:
        """Every path that other paths go through: `search`, `search.fusion`, `rerankers`, `rerankers.*`."""
        return frozenset(path[:at] for path in self.paths for at, character in enumerate(path) if character == ".")

    def is_setting(self, path: str) -> bool:
        return self._meaning(path) in self._settings

    def is_secret(self, path: str) -> bool:
        meaning = self._meaning(path)
        return meaning in self.secrets or (meaning.endswith(ANY_KEY) and is_secret_key(path.rpartition(".")[2]))

    def is_optional(self, path: str) -> bool:
        """Whether the setting may have no value."""
        return self._meaning(path) in self.optional

    def is_section(self, path: str) -> bool:
        return self._meaning(path) in self.sections

    def is_named(self, path: str) -> bool:
        """Whether it is a section that the user names: one of the rerankers or legs."""
        return self._meaning(path) in self._named

    def unknown(self, path: str) -> str:
        """What to say of a path that no setting has."""
        patterns = [pattern for pattern in (*self.paths, *self.sections) if not pattern.endswith(ANY_KEY)]
        known = [_filled(pattern, path) for pattern in patterns]
        same = [other for other in known if other.rsplit(".", 1)[-1] == path.rsplit(".", 1)[-1]]
        near = difflib.get_close_matches(path, known, n=1) or same[:1]
        return f"unknown setting {repeatable(path)!r}" + (f"; did you mean {near[0]!r}?" if near else "")

    def of_variable(self, name: str) -> str | None:
        """The path that a variable of the environment is for."""
        return self._variables.get(name) or _first_match(name, self._variable_patterns)

    def of_file_variable(self, name: str) -> str | None:
        """The path of the secret whose file a variable of the environment names."""
        path = self.of_variable(name.removesuffix(FILE_SUFFIX)) if name.endswith(FILE_SUFFIX) else None
        return path if path and self.is_secret(path) else None

    def unknown_variable(self, name: str) -> str:
        """What to say of a variable that is for no setting."""
        variables = [*map(env_name, self.paths), *(env_name(path) + FILE_SUFFIX for path in self.secrets)]
        near = difflib.get_close_matches(name, variables, n=1)
        return f"unknown environment variable {name}" + (f"; did you mean {near[0]}?" if near else "")

    @cached_property
    def _settings(self) -> frozenset[str]:
        return frozenset(self.paths)

    @cached_property
    def _named(self) -> frozenset[str]:
        return frozenset(section for section in self.sections if section.endswith(".*"))

    @cached_property
    def _variables(self) -> dict[str, str]:
        maps = [section.removesuffix(".*") for section in self._named]
        return {env_name(path): path for path in (*self.paths, *maps) if "*" not in path}

    @cached_property
    def _variable_patterns(self) -> list[tuple[re.Pattern[str], str]]:
        return [(_pattern(path), path) for path in (*self.paths, *self._named) if "*" in path]

    def _meaning(self, path: str) -> str:
        """The path with a star in place of a name that the user gives."""
        for named in self._named:
            before = named.removesuffix("*")
            if path.startswith(before):
                name, dot, after = path.removeprefix(before).partition(".")
                if after and "." not in after and named + ANY_KEY.removeprefix(".*") in self._settings:
                    after = "*"
                return named + dot + after if name else path
        return path


def env_name(path: str) -> str:
    """`search.fusion.kind` -> `CONNECTOR_SEARCH_FUSION_KIND`; a name that the user gives is `NAME`, and any setting
    `KEY`."""
    return ENV_PREFIX + path.replace("*", "NAME", 1).replace("*", "KEY").upper().replace(".", "_")


def is_secret_key(key: str) -> bool:
    """Whether what a plug-in is told under that name is a secret."""
    return key.lower().rpartition("_")[2] in SECRET_WORDS


def repeatable(name: str) -> str:
    """A name as messages repeat it: its first word, since a secret may follow where a colon or a space is wrong."""
    word = re.match(r"[\w.-]{0,80}", name)
    assert word
    return name if word[0] == name else word[0] + "…"


def _pattern(path: str) -> re.Pattern[str]:
    """Of the variables of a path with a star in it, without their prefix."""
    if path.endswith(ANY_KEY):  # the name ends at the first _, since any setting may follow
        section = env_name(path.removesuffix(ANY_KEY)).removeprefix(ENV_PREFIX)
        return re.compile(section + "_([A-Z][A-Z0-9]*)_([A-Z][A-Z0-9_]*)")
    return re.compile(env_name(path).removeprefix(ENV_PREFIX).replace("NAME", "([A-Z][A-Z0-9_]*)", 1))


def _filled(pattern: str, path: str) -> str:
    """A path of settings with the name that another path below the same section has where it has a star."""
    before, star, after = pattern.partition("*")
    if not star or not path.startswith(before):
        return pattern
    return before + path.removeprefix(before).partition(".")[0] + after


def _first_match(name: str, patterns: Iterable[tuple[re.Pattern[str], str]]) -> str | None:
    for pattern, path in patterns:
        if found := pattern.fullmatch(name.removeprefix(ENV_PREFIX)):
            for name in found.groups():
                path = path.replace("*", name.lower(), 1)
            return path
    return None
