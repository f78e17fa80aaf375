"""Schemathesis against the whole running service: whatever is asked, no answer says that the service broke.

One route is broken on purpose: it must be found, and nothing else. The long form is `benchmarks/fuzz_api.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import APIRouter

from edgesdk_testkit.api_fuzz import KNOWN, fuzz, fuzzed_service, whole_description

pytestmark = pytest.mark.system
STREAMS = 2


def test_no_answer_says_that_the_service_broke(tmp_path: Path) -> None:
    router = APIRouter()

    @router.get("/api/v1/broken")
    def broken(count: int) -> float:
        return 1 / (count - count)

    with fuzzed_service(tmp_path / "fleet", open_routers=[router]) as service:
        found = fuzz(service, tmp_path / "fuzz", examples=3, known=KNOWN)
        described = sum(len(methods) for methods in whole_description(service.app)["paths"].values())
    assert found.failures == ("GET /api/v1/broken",), found.output
    assert found.operations == described - STREAMS
    # Not only refused: what it asks is understood, and changes something.
    for operation in ("GET /api/v1/devices/{node}", "GET /", "GET /devices", "POST /api/v1/alerts/{row}/acknowledge",
                      "PATCH /api/v1/devices/{node}", "GET /enrol/ca.crt"):  # fmt: skip
        assert found.accepted[operation] > 0, operation
