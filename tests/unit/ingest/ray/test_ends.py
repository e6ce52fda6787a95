"""How the end of the work on a Ray cluster is said, also where it did not begin."""

from __future__ import annotations

from typing import Any

import pytest
import ray
from ray.exceptions import NodeDiedError, RayTaskError

from connector.errors import ModelError, RayUnavailable
from connector.ingest.ray.cluster import connected, explain_end
from connector.settings.ray import RaySettings


def test_an_error_of_ours_is_said_as_it_is() -> None:
    assert explain_end(ModelError("no such model; name another")) == "no such model; name another"


def test_of_any_other_the_innermost_reason_is_said_in_a_line() -> None:
    failed = RayTaskError("write", "Traceback\n  ...\nValueError: bad", ValueError("bad\nworse"))
    gone = NodeDiedError("\nThe node died\nits log is elsewhere")

    assert explain_end(failed) == "the work on the Ray cluster ended (ValueError: bad); run it again to go on"
    assert "(NodeDiedError: " in explain_end(gone)
    assert "\n" not in explain_end(gone)


async def test_a_local_cluster_that_does_not_start_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def time_out(**options: Any) -> None:
        raise Exception("The current node timed out during startup")  # as ray.init does it, after 30 s

    monkeypatch.setattr(ray, "init", time_out)
    with pytest.raises(RayUnavailable, match=r"did not start on this machine.*timed out.*run it again later"):
        async with connected(RaySettings(address="local")):
            pass
