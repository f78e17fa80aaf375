"""Fixtures of the pipeline's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edgesdk_testkit.pipelines import no_threads_left
from edgesdk_testkit.slots import wait_until


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    yield
    wait_until(no_threads_left, "the end of every thread")
