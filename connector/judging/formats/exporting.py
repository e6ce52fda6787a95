"""The judgments of a folder -> a file of another program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connector.judging.folder import JudgingFolder
from connector.judging.formats.bodies import read_bodies
from connector.judging.formats.judged import Body, JudgmentsToWrite, WritableFormat, Written
from connector.judging.formats.qrels import write_beir, write_trec
from connector.judging.formats.quepid import write_quepid
from connector.judging.formats.rank_eval import match_template, write_rank_eval
from connector.judging.formats.workbench import write_workbench
from connector.judging.grades import GradeKind
from connector.judging.resolve import BY_TRUST, resolve


def read_judgments(folder: JudgingFolder, kinds: Sequence[GradeKind] = BY_TRUST) -> JudgmentsToWrite:
    """The grades that count, of these kinds of judges, with their queries. Raises SourceError."""
    queries = {query.query_id: query.text for query in folder.queries()}
    resolved = resolve(folder.grades().read(), kinds)
    return JudgmentsToWrite(queries, resolved.qrels, read_bodies(folder.path))


def shown_fields(folder: JudgingFolder) -> list[str]:
    """The names of the fields that the pool shows; none where there is no pool."""
    pairs = folder.pairs() if folder.pool_file.is_file() else ()
    return [*dict.fromkeys(name for pair in pairs for name in pair.fields)]


def write_judgments(
    judgments: JudgmentsToWrite,
    to: WritableFormat,
    *,
    name: str,
    index: str,
    template: Body | None,
    fields: Sequence[str],
) -> Written:
    """The file's text. `index` and `template`, or else a plain query of the `fields`, are of `_rank_eval`."""
    match to:
        case "quepid":
            return write_quepid(judgments)
        case "workbench":
            return write_workbench(judgments, name=name)
        case "rank-eval":
            made: Mapping[str, object] = template or match_template(fields)
            return write_rank_eval(judgments, index=index, template=made)
        case "trec":
            return write_trec(judgments)
        case _:
            return write_beir(judgments)
