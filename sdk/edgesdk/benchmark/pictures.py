"""The picture a model answers while it is timed: one of the bundle's own, else one drawn from a fixed seed."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from edgesdk_targets.bundle.bundle import Bundle
from edgesdk_targets.tensor import Array

# As a camera gives it: the time of preprocessing depends on the size.
DRAWN_SIZE = (480, 640)
_SUFFIXES = {".png", ".jpg", ".jpeg"}


def golden_picture(bundle: Bundle) -> bytes | None:
    """Return the first raw picture of the bundle's golden set, encoded; None where it has none."""
    names = sorted(name for name in bundle.manifest.files if _is_raw_picture(PurePosixPath(name)))
    return bundle.read(names[0]) if names else None


def read_or_draw(path: Path | None) -> Array:
    """Return a picture (H, W, 3) uint8 BGR: read from a file, or drawn."""
    if path is not None:
        from edgesdk_targets.preprocess.image_file import read_image

        return read_image(path)
    from edgesdk_converters.proving.parity_pictures import draw_picture

    return draw_picture(DRAWN_SIZE, 0)


def _is_raw_picture(path: PurePosixPath) -> bool:
    return path.parts[0] == "golden" and path.suffix in _SUFFIXES
