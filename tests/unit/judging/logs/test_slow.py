"""Slow logs as Elasticsearch 8 and 9 and OpenSearch 2 and 3 wrote them, shortened where nothing is read."""

from __future__ import annotations

import json

import pytest

from connector.judging.logs.outcome import NoSearch, SearchedFor, Unreadable
from connector.judging.logs.slow import is_slow_line, is_slow_row, parse_slow_line, parse_slow_row

TEXT = 'how long is a "deal" [registered], für wen?'
QUERY = (
    r'"query":{"bool":{"must":[{"multi_match":{"query":"how long is a \"deal\" [registered], für wen?",'
    r'"fields":["text^1.0","title^1.0"],"boost":1.0}}],"filter":[{"match_all":{"boost":1.0}}],"boost":1.0}}'
)
BODY = "{" + QUERY + "}"
PLAIN = (
    "[2026-11-29T16:58:17,288][TRACE][i.s.s.query              ] [n1] [shop][0] took[74.6ms], took_millis[74], "
    "total_hits[1 hits], stats[], search_type[QUERY_THEN_FETCH], total_shards[2], source[{SOURCE}], id[call-7], "
)


def test_the_plain_form_has_the_text_whatever_brackets_are_in_it() -> None:
    line = PLAIN.replace("{SOURCE}", '{"size":3,' + QUERY + "}")

    assert is_slow_line(line)
    assert parse_slow_line(line) == SearchedFor(TEXT, part="i.s.s.query [shop][0]")


def test_the_plain_form_of_whole_requests_and_of_older_engines_too() -> None:
    request = (
        "[2026-11-29T16:58:17,309][TRACE][c.s.r.slowlog] [n1] took[116.7ms], took_millis[116], "
        "phase_took_millis[{expand=0, query=98, fetch=17}], total_hits[1 hits], search_type[QUERY_THEN_FETCH], "
        "shards[{total:2, successful:2, skipped:0, failed:0}], indices[shop], source[{SOURCE}], id[call-7]request_id[]"
    ).replace("{SOURCE}", BODY)
    older = PLAIN.replace("{SOURCE}", BODY).replace("i.s.s.query              ", "index.search.slowlog.query")

    assert parse_slow_line(request) == SearchedFor(TEXT, part="c.s.r.slowlog ")
    assert parse_slow_line(older) == SearchedFor(TEXT, part="index.search.slowlog.query [shop][0]")


@pytest.mark.parametrize("escaped_twice", [False, True])
def test_the_json_form_of_opensearch(escaped_twice: bool) -> None:
    source = BODY
    row = {
        "type": "index_search_slowlog",
        "component": "i.s.s.query",
        "message": "[shop][1]",
        "source": json.dumps(source, ensure_ascii=False)[1:-1] if escaped_twice else source,
    }

    assert is_slow_row(row)
    assert parse_slow_row(row) == SearchedFor(TEXT, part="i.s.s.query [shop][1]")


@pytest.mark.parametrize("nested", [False, True])
def test_the_json_form_of_elasticsearch_also_as_filebeat_sends_it_on(nested: bool) -> None:
    source = json.dumps(BODY, ensure_ascii=False)[1:-1]
    flat = {
        "event.dataset": "elasticsearch.index_search_slowlog",
        "log.logger": "index.search.slowlog.query",
        "elasticsearch.slowlog.message": "[shop][1]",
        "elasticsearch.slowlog.source": source,
    }
    slowlog = {"message": "[shop][1]", "source": source}
    row = {"elasticsearch": {"slowlog": slowlog}, "log": {"logger": "index.search.slowlog.query"}} if nested else flat

    assert is_slow_row(row)
    assert parse_slow_row(row) == SearchedFor(TEXT, part="index.search.slowlog.query [shop][1]")


def test_what_holds_no_text_is_told_from_what_cannot_be_read() -> None:
    nothing = parse_slow_line(PLAIN.replace("{SOURCE}", '{"size":3,"query":{"match_none":{"boost":1.0}}}'))
    unclear = parse_slow_line(
        PLAIN.replace("{SOURCE}", '{"query":{"bool":{"must":[{"match":{"a":"x y"}},{"match":{"b":"z"}}]}}}')
    )
    cut_off = parse_slow_line(PLAIN.replace("{SOURCE}", BODY[:40]))

    assert isinstance(nothing, NoSearch)
    assert isinstance(unclear, NoSearch)
    assert "x y" not in unclear.reason, "alike entries are counted together, and nobody's words are shown"
    assert isinstance(cut_off, Unreadable)
    assert isinstance(parse_slow_row({"type": "index_search_slowlog", "message": "[shop][0]"}), NoSearch)


def test_other_lines_of_an_engine_are_none() -> None:
    assert not is_slow_line("[2026-11-29T16:46:10,901][INFO ][o.o.n.Node               ] [n1] started")
    assert not is_slow_row({"type": "server", "component": "o.o.n.Node", "message": "started"})
