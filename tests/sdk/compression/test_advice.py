"""What is advised where a pass fails."""

from __future__ import annotations

from typing import Any

import pytest

from edgesdk.compression.course import PassReport, _advice
from edgesdk.compression.model_size import model_size
from edgesdk_testkit.nets_to_compress import subject


@pytest.mark.parametrize(
    ("verdict", "advised"),
    [
        ({"excess": 0.3, "classes": [{"class": "a", "collapsed": False}]}, True),
        ({"excess": 0.3, "classes": [{"class": "a", "collapsed": False}, {"class": "b", "collapsed": True}]}, False),
        ({"excess": -0.1, "classes": [{"class": "b", "collapsed": True}]}, False),
        ({"excess": 0.3}, True),
        ({"excess": None, "classes": []}, False),
    ],
    ids=["drop", "drop and class", "class", "no classes", "no numbers"],
)
def test_more_is_allowed_only_where_that_helps(verdict: dict[str, Any], advised: bool) -> None:
    size = model_size(subject("residual"))
    report = PassReport("fold", {}, size, size, None, 0.5, {}, None, "fail", "", verdict, 0.0)
    assert ("allow more with --max-drop" in _advice(report)) == advised
    assert _advice(report).startswith("Ask less of this pass")
