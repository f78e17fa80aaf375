"""Where the real weights and pictures are, and the folder of their definitions on the path."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
# The definitions are imported as a card's factory is: by plain name, from the card's folder.
MODELS = str(Path(__file__).resolve().parent / "models")
if MODELS not in sys.path:
    sys.path.insert(0, MODELS)


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder of real weights and pictures; the test is skipped where there is none."""
    folder = Path(os.environ.get("EDGESDK_ASSETS") or REPOSITORY.parent / "shared" / "assets")
    if not (folder / "SHA256SUMS").is_file():
        pytest.skip(f"no real weights and pictures in {folder} (EDGESDK_ASSETS names another folder)")
    return folder
