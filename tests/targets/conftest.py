from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """Where a test writes a bundle's file."""
    return tmp_path / "a.edgebundle"
