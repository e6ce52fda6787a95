"""What is measured: pipelines, each a stage of a search with settings of its own; and the searches that they come
to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError

from connector.errors import SettingsError, SourceError
from connector.evaluation.files.text_file import read_text
from connector.evaluation.route import FUSED, RERANKED, Route
from connector.evaluation.rules import ALWAYS, has_rules, without_rules
from connector.models.files import short_name
from connector.settings.sections import Settings

SEARCH = "search"  # the pipeline of what the caller gets: the last stage of the search as it is configured


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A ranking to be measured: the one that `stage` gives (empty: the last one), with `overrides` over the
    settings."""

    name: str
    stage: str = ""
    overrides: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlannedSearch:
    """A search that every query is sent through, and the pipelines whose rankings it has."""

    settings: Settings
    pipelines: tuple[Pipeline, ...]

    @property
    def route(self) -> Route:
        """What its rankings are made of."""
        return Route(self.settings)

    def stage(self, pipeline: Pipeline) -> str:
        """The stage whose ranking the pipeline is."""
        return pipeline.stage or (RERANKED if self.settings.search.rerank else FUSED)

    @property
    def last(self) -> str:
        """The stage that it ends with: nothing is reranked that no pipeline asks for."""
        return RERANKED if any(self.route.reranks(self.stage(pipeline)) for pipeline in self.pipelines) else FUSED

    def is_last(self, pipeline: Pipeline) -> bool:
        """Whether the search ends with the pipeline's ranking."""
        stage = self.stage(pipeline)
        return stage in (self.last, self.route.names[-1]) or (
            self.last == RERANKED and stage == self.settings.search.rerank[-1].name
        )


def default_pipelines(settings: Settings) -> tuple[Pipeline, ...]:
    """The stages that a search with these settings has; where rules leave some out, also the search without rules."""
    stages = tuple(Pipeline(stage, stage) for stage in Route(settings).distinct)
    return (*stages, Pipeline(ALWAYS, RERANKED, without_rules(settings))) if has_rules(settings) else stages


def pipelines_of_worker(settings: Settings, does_worker_answer: Callable[[], bool]) -> tuple[Pipeline, ...]:
    """The same, without those that rerank where no worker answers. It is asked only where something is reranked."""
    stages = default_pipelines(settings)
    if not settings.search.rerank or does_worker_answer():
        return stages
    return tuple(pipeline for pipeline in stages if pipeline.stage != RERANKED)


def read_pipelines(given: str) -> tuple[Pipeline, ...]:
    """The pipelines of a YAML file, or those named after stages, split by commas. Raises SettingsError."""
    if given.endswith((".yaml", ".yml")):
        return _read_file(Path(given))
    names = [name.strip() for name in given.split(",")]
    return tuple(Pipeline(name, "" if name == SEARCH else name) for name in dict.fromkeys(names))


def add_rerankers(pipelines: Sequence[Pipeline], rerankers: Mapping[str, Mapping[str, Any]]) -> tuple[Pipeline, ...]:
    """The pipelines and one for each reranker, by its name: reranked-NAME with the settings that choose it. Raises
    SettingsError."""
    short = Counter(map(short_name, rerankers))
    called = {name: short_name(name) if short[short_name(name)] == 1 else name for name in rerankers}
    added = [
        Pipeline(f"{RERANKED}-" + re.sub(r"[^\w.+-]+", "-", called[name]).strip("-"), RERANKED, overrides)
        for name, overrides in rerankers.items()
    ]
    names = [pipeline.name for pipeline in (*pipelines, *added)]
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(f"two pipelines would be called {name!r}; name the one of the file otherwise")
    return (*pipelines, *added)


def plan(
    pipelines: Sequence[Pipeline], settings_with: Callable[[Mapping[str, Any]], Settings]
) -> tuple[PlannedSearch, ...]:
    """The fewest searches that give all the rankings: pipelines with the same settings share one. Raises
    SettingsError."""
    return plan_each((pipeline, settings_with(pipeline.overrides)) for pipeline in pipelines)


def plan_each(pipelines: Iterable[tuple[Pipeline, Settings]]) -> tuple[PlannedSearch, ...]:
    """The same of pipelines that come with their settings."""
    planned: list[PlannedSearch] = []
    for pipeline, settings in pipelines:
        _check_stage(pipeline, settings)
        at = next((at for at, known in enumerate(planned) if known.settings == settings), len(planned))
        before = planned[at].pipelines if at < len(planned) else ()
        planned[at : at + 1] = [PlannedSearch(settings, (*before, pipeline))]
    return tuple(planned)


def _check_stage(pipeline: Pipeline, settings: Settings) -> None:
    """Raises SettingsError where a search with these settings has no such stage."""
    if pipeline.stage == RERANKED and not settings.search.rerank:
        raise SettingsError(f"pipeline {pipeline.name!r} needs a rerank, but search.rerank is off")
    names = Route(settings).names
    if pipeline.stage in ("", *names):
        return
    if pipeline.name == pipeline.stage:
        raise SettingsError(
            f"unknown pipeline {pipeline.name!r}; name some of {', '.join((*names, SEARCH))}, or a YAML file of "
            "pipelines"
        )
    raise SettingsError(f"pipeline {pipeline.name!r} has no stage {pipeline.stage!r}; stages are {', '.join(names)}")


def _read_file(file: Path) -> tuple[Pipeline, ...]:
    yaml = YAML(typ="safe", pure=True)  # unlike PyYAML it refuses a name that is there twice
    yaml.version = (1, 1)  # as the settings are read
    try:
        content = yaml.load(read_text(file))
    except SourceError as error:
        raise SettingsError(str(error)) from None
    except DuplicateKeyError as error:
        raise SettingsError(f"{file}{_line(error)} names a pipeline or a setting twice; keep one of the two") from None
    except YAMLError as error:
        raise SettingsError(
            f"{file}{_line(error)} is not YAML ({getattr(error, 'problem', None) or type(error).__name__})"
        ) from None
    if not isinstance(content, dict) or not content:
        raise SettingsError(
            f"{file} must map names of pipelines to their settings, such as 'wide: {{search.rerank: {{window: 100}}}}'"
        )
    return tuple(_parse(name, given, file) for name, given in content.items())


def _line(error: YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f":{mark.line + 1}" if mark else ""


def _parse(name: Any, given: Any, file: Path) -> Pipeline:
    if not isinstance(name, str):  # off, 1.5 and the like
        raise SettingsError(f"{file}: YAML reads the name of a pipeline as {name!r}; put it in quotes")
    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise SettingsError(f"{file}: a pipeline cannot be called {name!r}; take letters, digits and . _ + -")
    if not isinstance(given, dict | None):
        raise SettingsError(f"{file}: pipeline {name!r} must map settings to values, and may name a stage")
    overrides = {str(path): value for path, value in (given or {}).items() if path != "stage"}
    return Pipeline(name, str((given or {}).get("stage", "")), overrides)
