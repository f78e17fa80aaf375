"""Something that a test needs is missing: skip it, or fail where the run promises to have everything."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """End the test for lack of `what`: a failure under EDGESDK_REQUIRE_SYSTEM, else a skip with the reason."""
    if os.environ.get("EDGESDK_REQUIRE_SYSTEM"):
        pytest.fail(what)
    pytest.skip(what, allow_module_level=True)


def needed(module: str) -> None:
    """End a test file at its top for lack of a module, by the same rule."""
    if find_spec(module) is None:
        missing(f"{module} is not installed")
