"""The system's PyGObject, as a virtual environment with --system-site-packages sees it: last on the path."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgesdk_agent.cameras.gstreamer_library import gstreamer
from edgesdk_targets.errors import CameraLost
from edgesdk_testkit.required import missing

_SYSTEM_PACKAGES = "/usr/lib/python3/dist-packages"


@contextmanager
def gstreamer_on_path() -> Iterator[None]:
    """Make GStreamer's binding importable here and in child processes, or end the test for lack of it."""
    before, variable = list(sys.path), os.environ.get("PYTHONPATH")
    if Path(_SYSTEM_PACKAGES).is_dir():
        sys.path.append(_SYSTEM_PACKAGES)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [variable, _SYSTEM_PACKAGES]))
    try:
        gstreamer()
        yield
    except CameraLost as error:
        missing(f"{error.message} {error.hint}")
    finally:
        sys.path[:] = before
        if variable is None:
            os.environ.pop("PYTHONPATH", None)
        else:
            os.environ["PYTHONPATH"] = variable
