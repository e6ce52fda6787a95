"""`connector judge llm` stopped by Ctrl-C: what was graded is kept, and the next run asks for the rest alone."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

from support.evaluation.judging_folders import make_judging_folder
from support.programs.command import Launcher
from support.servers.chat_server import chat_server

ANSWERED = 6  # before the endpoint lets the others wait


def test_ctrl_c_keeps_every_grade_and_the_next_run_goes_on(launcher: Launcher, tmp_path: Path) -> None:
    folder, truth = make_judging_folder(tmp_path / "judging", queries=3, depth=5)
    count, lock, stuck, let_go = [0], threading.Lock(), threading.Event(), threading.Event()

    def answer(query: str, passage: str) -> str:
        with lock:
            count[0] += 1
            waits = count[0] > ANSWERED and not let_go.is_set()
        if waits:
            stuck.set()
            assert let_go.wait(240)
        return f"##final score: {truth[query.split()[-1], passage.split()[-1]]}"

    with chat_server(answer) as server:
        asked = ("judge", "llm", "judging", "--url", server.url, "--model", "stub", "--yes", "--at-once", "1")
        running = launcher.start(*asked, cwd=tmp_path)
        assert stuck.wait(240)
        os.kill(running.pid, signal.SIGINT)
        stopped = running.wait()
        kept = folder.grades().read()
        judged = folder.qrels_file.read_text().splitlines()
        let_go.set()
        done = launcher.run(*asked, cwd=tmp_path)
        asked_for = len(server.requests)

    assert stopped.code == 130
    assert "stopped by Ctrl-C: every grade so far is kept; the same command goes on" in stopped.stderr
    assert len(kept) == len(judged) - 1 == ANSWERED
    assert (done.code, asked_for) == (0, len(truth) + 1)  # the one that was under way is asked again
    assert {(grade.query_id, grade.doc_id): grade.grade for grade in folder.grades().read()} == truth
