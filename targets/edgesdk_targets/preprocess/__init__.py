"""From a camera's picture to a model's input; the one implementation that host and device share."""

from __future__ import annotations

import os

# OpenCV reads this when it is loaded: a picture that claims more pixels is refused before memory is taken.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 28))
