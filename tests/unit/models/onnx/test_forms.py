"""How graphs are made: what is heard meanwhile."""

from __future__ import annotations

import logging
import threading

import pytest

from connector.models.onnx.forms import quiet


def test_remarks_are_kept_back_only_of_the_thread_that_makes_a_graph(caplog):
    handler = caplog.handler
    logging.root.addHandler(handler)
    begun, ended = threading.Event(), threading.Event()

    def make_another() -> None:
        with quiet():
            begun.set()
            ended.wait(120)

    other = threading.Thread(target=make_another)
    try:
        with quiet():
            other.start()
            begun.wait(120)
            logging.warning("a remark")
            logging.error("a fault")
        logging.warning("while the other thread goes on")
        ended.set()
        other.join()
        logging.warning("after both")
    finally:
        logging.root.removeHandler(handler)

    heard = [record.getMessage() for record in caplog.records]
    assert list(dict.fromkeys(heard)) == ["a fault", "while the other thread goes on", "after both"]


def test_remarks_are_kept_back_where_there_is_no_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])
    with quiet():
        logging.warning("a remark")
        logging.error("a fault")

    assert capsys.readouterr().err == "a fault\n"
    assert logging.root.handlers == []
    logging.getLogger("somebody").warning("after it")
    assert capsys.readouterr().err == "after it\n"
