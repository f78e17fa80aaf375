"""Pictures at the size that they have in the stream, from a reader that stretches each to the size at which it opened.

FFmpeg's are converted as they come, and watched by what that costs (`conversion_price`). Where the price says that they are
stretched, a film's own packets say whether that is so, and it goes on in its new sizes; a camera is to be opened again, after
several such pictures in a row; a recording that is streamed, which would begin from its start, is warned of and goes on. Of
formats whose conversion is dear in any case a film's packets are read from its beginning, and a stream's change is missed,
which is told at its first picture.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

import numpy as np

from edgesdk_agent.cameras.camera import CameraCounts, SizeChanged
from edgesdk_agent.cameras.conversion_price import ALONE, ASKING, MOST_ALARMS, ConversionPrice, DearRun
from edgesdk_agent.cameras.film_sizes import FilmSizes
from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array

log = logging.getLogger(__name__)


class NativeSize:
    """Convert what a capture has grabbed, and notice that it is of another size.

    Args:
        description: of the source, without secrets.
        live: it can be opened again, and goes on where it is.
        film: the file that is read, which tells the sizes of its pictures; None for a stream.
        counts: `size_alarms` is read when the first picture comes, and counted where nobody else can tell.
    """

    def __init__(self, description: str, *, live: bool, film: Path | None, counts: CameraCounts) -> None:
        self._description = description
        self._live = live
        self._film = film
        self._counts = counts
        self._price: ConversionPrice | None = None
        self._shape: tuple[int, ...] | None = None
        self._sizes: FilmSizes | None = None
        # Each picture is given the size that the film says: as it has changed once, or as no price would tell.
        self._follows = self._always = False
        self._stretched: Array | None = None

    def retrieve(self, capture: cv2.VideoCapture, number: int, out: Array | None) -> Array | None:
        """Return the grabbed picture in its own size; None where it cannot be decoded.

        Args:
            capture: has grabbed it.
            number: of the picture since the film began, from 0.
            out: is written where its shape fits.

        Raises:
            SizeChanged: a live camera's pictures have been of another size for a while.
        """
        if self._follows and self._film is not None:
            return self._restored(capture, self._packets(self._film).of(number), out)
        if out is None and self._price is not None and self._shape is not None:
            # Memory that was never written is dear, too.
            out = np.full(self._shape, 0, np.uint8)
        began = time.thread_time()
        read, converted = capture.retrieve(out)
        if not read:
            return None
        took_s = time.thread_time() - began
        picture: Array = converted
        if self._shape is None:
            self._shape = picture.shape
            self._follows = self._always = self._names_sizes(capture)
            self._watch()
        if self._price is None:
            return picture

        def again() -> None:
            capture.retrieve(picture)

        if self._film is None:
            if self._run.lasts(took_s, again):
                self._stream_changed(picture)
        elif self._price.is_dear(took_s, again) and self._price.is_scaled(again):
            return self._asked(self._film, capture, number, picture, out)
        return picture

    def begin_again(self) -> None:
        """Note that a film begins again, at its first size."""
        self.close()
        self._follows = self._always

    def close(self) -> None:
        """Close what is read beside the capture."""
        if self._sizes is not None:
            self._sizes.close()
            self._sizes = None

    def _watch(self) -> None:
        """Watch what pictures cost from here on, as far as it was right before."""
        alarms = self._counts.size_alarms
        if self._always:
            self._price = None
        elif self._film is not None:
            self._price = ConversionPrice(ASKING)
        elif alarms < MOST_ALARMS:
            self._price = ConversionPrice(ALONE * 2**alarms)
            self._run = DearRun(self._price)
        else:
            self._price = None

    def _stream_changed(self, picture: Array) -> None:
        height, width = picture.shape[:2]
        seems = f"{self._description} seems to have changed the size of its pictures, which was {width}x{height}"
        if self._live:
            raise SizeChanged(f"{seems}.", hint="It is opened again, at its new size.")
        self._counts.size_alarms += 1
        if self._counts.size_alarms < MOST_ALARMS:
            log.warning("%s: they are stretched to it from here on, unless something else made them dear.", seems)
        else:
            log.warning("%s, for the second time: that is not looked for any more.", seems)
        self._watch()

    def _asked(
        self, film: Path, capture: cv2.VideoCapture, number: int, picture: Array, out: Array | None
    ) -> Array | None:
        """Return the picture as the film's packets say; they stay open, so that each is read once however often it is asked."""
        size = self._packets(film).of(number)
        if size is not None and size != picture.shape[1::-1]:
            self._follows = True
            return self._restored(capture, size, out)
        self._counts.size_alarms += 1
        if size is None:
            log.warning(
                "%s may change its size, and its codec does not say so: it would be stretched.", self._description
            )
            self._price = None
        elif self._price is not None:
            self._price.forget()
        return picture

    def _names_sizes(self, capture: cv2.VideoCapture) -> bool:
        """Say whether a film's packets are to be read from its beginning, as they alone tell, and cost little.

        Each key frame costs a look, which is much where all are.
        """
        if _price_tells(capture):
            return False
        if self._film is not None:
            packets = self._packets(self._film)
            if packets.of(1) is not None and packets.key_frames == 1:
                return True
            # Nothing more is read beside the capture, unless a price asks for it.
            self.close()
        log.info("%s: should the size of its pictures change, that is mostly not noticed.", self._description)
        return False

    def _packets(self, film: Path) -> FilmSizes:
        if self._sizes is None:
            self._sizes = FilmSizes(film)
        return self._sizes

    def _restored(self, capture: cv2.VideoCapture, size: tuple[int, int] | None, out: Array | None) -> Array | None:
        """Give a picture back the size that it has in the film; what was made smaller stays as coarse as that."""
        if size is None or (self._shape is not None and size == self._shape[1::-1]):
            # It was opened so, as far as is known: this one is not stretched.
            read, converted = capture.retrieve(out)
            own: Array = converted
            return own if read else None
        read, picture = capture.retrieve(self._stretched)
        if not read:
            return None
        self._stretched = picture
        fits = out is not None and out.shape[1::-1] == size
        restored: Array = cv2.resize(picture, size, out if fits else None)
        return restored


def _price_tells(capture: cv2.VideoCapture) -> bool:
    """Say whether scaling makes the conversion of a stream's pictures dear, by their format in it.

    That is named by four bytes as in FFmpeg's `libavcodec/raw.c`: Y3 and two more are planar YUV of more than 8 bits.
    """
    named = int(capture.get(cv2.CAP_PROP_CODEC_PIXEL_FORMAT)).to_bytes(4, "little", signed=True)
    return not (named.startswith(b"Y3") or named == b"444P")
