"""What is measured: pipelines, each a stage of a search with settings of its own; and the searches that they come
to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError

from connector.errors import SettingsError, SourceError
from connector.evaluation.runs import STAGES, Answer
from connector.evaluation.text_file import read_text
from connector.models.files import short_name
from connector.settings.sections import Settings
from connector.types import Ranking

SEARCH = "search"  # the pipeline of what the caller gets: the last stage of the search as it is configured
# what a stage's ranking is made of, as the times and the notes of a search call it
MADE_OF: Mapping[str, frozenset[str]] = {
    "lexical": frozenset({"lexical"}),
    "dense": frozenset({"encode", "dense"}),
    "fused": frozenset({"lexical", "encode", "dense", "fuse"}),
    "reranked": frozenset({"lexical", "encode", "dense", "fuse", "term_weights", "rerank"}),
}


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

    def stage(self, pipeline: Pipeline) -> str:
        """The stage whose ranking the pipeline is."""
        return pipeline.stage or ("reranked" if self.settings.rerank.enabled else "fused")

    @property
    def last(self) -> str:
        """The stage that it ends with: nothing is reranked that no pipeline asks for."""
        return "reranked" if any(self.stage(pipeline) == "reranked" for pipeline in self.pipelines) else "fused"


def default_pipelines(settings: Settings) -> tuple[Pipeline, ...]:
    """The stages that a search with these settings has."""
    return tuple(Pipeline(stage, stage) for stage in STAGES if stage != "reranked" or settings.rerank.enabled)


def read_pipelines(given: str) -> tuple[Pipeline, ...]:
    """The pipelines of a YAML file, or those named after stages, split by commas. Raises SettingsError."""
    if given.endswith((".yaml", ".yml")):
        return _read_file(Path(given))
    names = [name.strip() for name in given.split(",")]
    for name in names:
        if name not in (*STAGES, SEARCH):
            raise SettingsError(
                f"unknown pipeline {name!r}; name some of {', '.join((*STAGES, SEARCH))}, or a YAML file of pipelines"
            )
    return tuple(Pipeline(name, "" if name == SEARCH else name) for name in dict.fromkeys(names))


def add_rerankers(pipelines: Sequence[Pipeline], rerankers: Mapping[str, Mapping[str, Any]]) -> tuple[Pipeline, ...]:
    """The pipelines and one for each reranker, by its name: reranked-NAME with the settings that choose it. Raises
    SettingsError."""
    short = Counter(map(short_name, rerankers))
    called = {name: short_name(name) if short[short_name(name)] == 1 else name for name in rerankers}
    added = [
        Pipeline("reranked-" + re.sub(r"[^\w.+-]+", "-", called[name]).strip("-"), "reranked", overrides)
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
    planned: list[PlannedSearch] = []
    for pipeline in pipelines:
        settings = settings_with(pipeline.overrides)
        if pipeline.stage == "reranked" and not settings.rerank.enabled:
            raise SettingsError(f"pipeline {pipeline.name!r} needs a rerank, but rerank.enabled is false")
        at = next((at for at, known in enumerate(planned) if known.settings == settings), len(planned))
        before = planned[at].pipelines if at < len(planned) else ()
        planned[at : at + 1] = [PlannedSearch(settings, (*before, pipeline))]
    return tuple(planned)


def ranking_of(stage: str, answer: Answer) -> Ranking:
    """What the caller of a pipeline gets: where the rerank is missing, the fused order, as a search has it."""
    if stage == "reranked":
        return answer.rankings.get("reranked") or answer.rankings.get("fused", ())
    return answer.rankings.get(stage, ())


def failure(stage: str, answer: Answer) -> str:
    """Why the pipeline has no ranking for a query; empty where it has one, or where there was nothing to find."""
    return answer.error or ("" if ranking_of(stage, answer) else "; ".join(degradations(stage, answer)))


def degradations(stage: str, answer: Answer) -> tuple[str, ...]:
    """What was missing or late of the stages that the ranking is made of."""
    return tuple(f"{missing.stage}: {missing.reason}" for missing in answer.degraded if missing.stage in MADE_OF[stage])


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
            f"{file} must map names of pipelines to their settings, such as 'wide: {{rerank.window: 100}}'"
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
    stage = (given or {}).get("stage", "")
    if stage not in ("", *STAGES):
        raise SettingsError(f"{file}: pipeline {name!r} has no stage {stage!r}; stages are {', '.join(STAGES)}")
    return Pipeline(name, stage, overrides)
