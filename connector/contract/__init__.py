"""What each kind of plug-in promises, as classes of tests that whoever writes one inherits. They need pytest alone."""

import pytest

for _part in ("sources", "encoders", "rerankers", "clusters"):  # so that a test that fails shows what it compared
    pytest.register_assert_rewrite(f"{__name__}.{_part}")
