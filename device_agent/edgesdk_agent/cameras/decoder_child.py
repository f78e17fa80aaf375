"""The process in which a decoder is tried: `python -m edgesdk_agent.cameras.decoder_child CODEC CHAIN`.

It decodes eight frames of colour bars and looks at the colours: a decoder that delivers grey or green pictures, as a
driver and a firmware of different versions do, is refused like one that fails. The clips were made with GStreamer's
`videotestsrc pattern=smpte75` and x264 or x265. Prints one line, and ends with 0 where the decoder works.
"""

from __future__ import annotations

import sys
from importlib.resources import as_file, files

from edgesdk_agent.cameras import gstreamer_library
from edgesdk_agent.cameras.decoders import CODECS, Codec
from edgesdk_agent.cameras.gstreamer import GStreamerCamera
from edgesdk_targets.child_watch import behave_as_child
from edgesdk_targets.errors import EdgeError
from edgesdk_targets.tensor import Array

CLIP = "bars."
_PICTURES = 8
# The upper two thirds are seven bars; B, G, R at 75 %.
_BARS = ((191, 191, 191), (0, 191, 191), (191, 191, 0), (0, 191, 0), (191, 0, 191), (0, 0, 191), (191, 0, 0))
# Of 255: matrices of colour and rounding differ between decoders; a wrong plane is far beyond.
_TOLERANCE = 32


def _tried(codec: Codec, chain: str) -> str | None:
    """Return what is wrong with a chain, or None."""
    with as_file(files("edgesdk_agent.cameras").joinpath("clips", CLIP + codec)) as clip:
        source = f'filesrc location="{clip}" ! {CODECS[codec].parse} ! {chain}'
        try:
            camera = GStreamerCamera(source, live=False, description=chain.partition(" ")[0])
            pictures = []
            while (picture := camera.read(None)) is not None:
                pictures.append(picture)
            camera.close()
        except EdgeError as error:
            return error.message
    if len(pictures) != _PICTURES:
        return f"it delivered {len(pictures)} of {_PICTURES} pictures"
    return next(filter(None, map(_wrong_colour, pictures)), None)


def _wrong_colour(picture: Array) -> str | None:
    height, width = picture.shape[:2]
    for place, expected in enumerate(_BARS):
        middle = (2 * place + 1) * width // 14
        found = picture[height // 4 : height // 2, middle - 4 : middle + 4].reshape(-1, 3).mean(axis=0)
        if max(abs(float(a) - b) for a, b in zip(found, expected, strict=True)) > _TOLERANCE:
            return f"its pictures are wrong: {found.round().tolist()} where {list(expected)} is due"
    return None


def main(codec: Codec, chain: str) -> int:
    behave_as_child()
    gstreamer_library.beside_model = False
    wrong = _tried(codec, chain)
    sys.stdout.write(f"{wrong or 'ok'}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))  # type: ignore[arg-type]
