"""Grades by click or key, into a judging folder: what `connector judge` keeps and eval, tune and train take."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from connector.errors import SettingsError
from connector.judging.folder import JudgingFolder
from connector.judging.grades import GRADES, Grade
from connector.judging.page.rater import count_raters
from connector.judging.queries.bands import SampledQuery
from connector.judging.queries.fold import LoggedQuery, fold_key
from connector.judging.queries.sample import write_queries
from connector.judging.resolve import resolve, write_judgments

GRADED_ON_PAGE = "search page"


class Grading:
    """For several people at once; a grade is on disk, and in the judgments, when the call returns."""

    def __init__(self, path: Path) -> None:
        """Raises SettingsError where the folder cannot be made, and where it has judgments that would be lost."""
        self.folder = JudgingFolder.make(path)
        self.folder.check_judgments()
        self._log = self.folder.grades()
        self._lock = threading.Lock()

    def grade(self, text: str, doc_id: str, grade: int, by: str) -> None:
        """Keep a grade; a query that the folder does not know yet becomes one of its queries.

        Raises SettingsError for what is no query or no grade, DiskError, SourceError."""
        if grade not in GRADES:
            raise SettingsError("no grade was given; give 0, 1, 2 or 3")
        if not doc_id:
            raise SettingsError("no document was named; grade it on the page that shows it")
        key = fold_key(text)
        if not key:
            raise SettingsError("a query needs a letter or a digit to be judged")
        with self._lock:
            query_id = self._query_id(key)
            if query_id and self._stands(query_id, doc_id, grade, by):
                return
            if query_id is None:
                query = LoggedQuery(key, text, 1)
                query_id = query.query_id
                write_queries(self.folder, [SampledQuery(query, "tail", 1.0)], add=True)
            self._log.append(Grade(query_id, doc_id, grade, by, about={"where": GRADED_ON_PAGE}))
            write_judgments(self.folder, self._log)

    def grades_of(self, text: str, by: str) -> Mapping[str, int]:
        """doc_id -> the grade that this person gave for the query."""
        query_id = self._query_id(fold_key(text))
        return {
            line.doc_id: line.grade
            for line in self._log.read()
            if (line.query_id, line.by) == (query_id, by) and line.grade is not None
        }

    def texts(self) -> tuple[str, ...]:
        """The queries of the folder; none where it has no queries yet."""
        return tuple(query.text for query in self.folder.queries()) if self.folder.queries_file.is_file() else ()

    def judgments_of(self, texts: Iterable[str]) -> Mapping[str, Mapping[str, int]]:
        """text -> doc_id -> the grade that counts, for those of the texts that have one."""
        if not self.folder.queries_file.is_file():
            return {}
        ids = {fold_key(query.text): query.query_id for query in self.folder.queries()}
        qrels = resolve(self._log.read()).qrels
        found = {text: qrels.get(ids.get(fold_key(text), ""), {}) for text in texts}
        return {text: grades for text, grades in found.items() if grades}

    def raters(self) -> dict[str, int]:
        """Everybody who graded so far, with how many grades of theirs stand."""
        return count_raters(self._log.read())

    def _stands(self, query_id: str, doc_id: str, grade: int, by: str) -> bool:
        """Whether that is what the person said last, as after a page was sent twice."""
        judgment = (query_id, doc_id, grade, by)
        return any((line.query_id, line.doc_id, line.grade, line.by) == judgment for line in self._log.read())

    def _query_id(self, key: str) -> str | None:
        if not self.folder.queries_file.is_file():
            return None
        return next((query.query_id for query in self.folder.queries() if fold_key(query.text) == key), None)
