"""Spans as people write them."""

from __future__ import annotations

import pytest

from edgesdk_targets.errors import InputError
from edgesdk_targets.time_span import seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("20m", 1200), ("1h", 3600), ("1.5h", 5400), (" 7d ", 604800)]
)
def test_it_is_read(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "1w", "-1h", "1e3", "1h30m", "12345678", "1,5h", "٣h"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no time"):
        seconds_of(text)
