"""How the end of the work on a Ray cluster is said."""

from __future__ import annotations

from ray.exceptions import NodeDiedError, RayTaskError

from connector.errors import ModelError
from connector.ingest.ray.cluster import explain_end


def test_an_error_of_ours_is_said_as_it_is() -> None:
    assert explain_end(ModelError("no such model; name another")) == "no such model; name another"


def test_of_any_other_the_innermost_reason_is_said_in_a_line() -> None:
    failed = RayTaskError("write", "Traceback\n  ...\nValueError: bad", ValueError("bad\nworse"))
    gone = NodeDiedError("\nThe node died\nits log is elsewhere")

    assert explain_end(failed) == "the work on the Ray cluster ended (ValueError: bad); run it again to go on"
    assert "(NodeDiedError: " in explain_end(gone)
    assert "\n" not in explain_end(gone)
