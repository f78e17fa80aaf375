from __future__ import annotations

import pytest

from edgesdk.size_in_digits import size_in_digits


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (999.6, "999.6 B"),
        (999.96, "1 kB"),
        (123_456, "123.5 kB"),
        (999_960, "1 MB"),
        (12_345_678, "12.35 MB"),
        (12_345_678_901, "12.35 GB"),
    ],
)
def test_a_size_is_written_in_the_unit_that_it_rounds_to(size_bytes: float, text: str) -> None:
    assert size_in_digits(size_bytes) == text
