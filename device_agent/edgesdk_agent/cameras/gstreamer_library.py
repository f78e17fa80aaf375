"""GStreamer, through PyGObject: found, loaded in an order that it survives, and asked what it has.

OpenCV's wheels come without GStreamer, while PyGObject is a package of the device's own system (`python3-gi`), which a
virtual environment sees when it is made with `--system-site-packages`.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

from edgesdk_targets.errors import CameraLost

# False in a process that never runs a model.
beside_model = True
_BEFORE_GSTREAMER = ("openvino",)


def gstreamer() -> Any:
    """Return GStreamer's binding, `gi.repository.Gst`, ready to be used.

    Raises:
        CameraLost: it is not installed.
    """
    if beside_model and "gi" not in sys.modules and importlib.util.find_spec("gi") is not None:
        _load_first()
    try:
        import gi

        gi.require_version("Gst", "1.0")
        from gi.repository import Gst
    except (ImportError, ValueError) as error:
        raise CameraLost(
            "GStreamer's Python binding is not installed.",
            hint="apt install python3-gi gir1.2-gstreamer-1.0 gstreamer1.0-plugins-base, and make the virtual "
            "environment with --system-site-packages.",
        ) from error
    Gst.init(None)
    return Gst


def lacks(*elements: str) -> list[str]:
    """Return which of these elements GStreamer does not have here.

    Raises:
        CameraLost: GStreamer's Python binding is not installed.
    """
    gst = gstreamer()
    return [name for name in elements if gst.ElementFactory.find(name) is None]


def _load_first() -> None:
    """Load what does not survive being loaded after GStreamer's plugins.

    OpenVINO aborts or crashes when its libraries come after those of GStreamer's binding and a first pipeline (seen with
    OpenVINO 2026 and GStreamer 1.22); the other way round both work.
    """
    for name in _BEFORE_GSTREAMER:
        if name not in sys.modules and importlib.util.find_spec(name) is not None:
            importlib.import_module(name)
