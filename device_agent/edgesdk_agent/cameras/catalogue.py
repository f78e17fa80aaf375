"""From a source's text to an open camera.

The kinds are data, and what a kind needs is imported when it is opened: listing them needs no library.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.cameras.decoders import DECODER_NAMES
from edgesdk_agent.cameras.openers.attached import open_csi, open_gstreamer, open_v4l2
from edgesdk_agent.cameras.openers.files import open_file, open_folder
from edgesdk_agent.cameras.openers.loading import load
from edgesdk_agent.cameras.openers.made import open_conveyor, open_synthetic
from edgesdk_agent.cameras.openers.network import open_stream
from edgesdk_agent.cameras.source_forms import SOURCE_FORMS
from edgesdk_agent.cameras.source_options import SourceOptions, with_values
from edgesdk_targets.errors import InputError
from edgesdk_targets.secret_url import SecretUrl, redact


def open_camera(source: str | SecretUrl, options: SourceOptions | None = None, **values: Any) -> Camera:
    """Open the camera that `source` names.

    Args:
        source: one of `SOURCE_FORMS`.
        options: how to open it.
        **values: fields of the options, in their place, such as `live=True`.

    Raises:
        InputError: `source` names nothing that is known, or an option cannot be used.
        CameraLost: the camera does not answer.
    """
    options = with_values(options or SourceOptions(), values)
    if options.decoder not in DECODER_NAMES:
        raise InputError(f"There is no decoder {options.decoder!r}.", hint=f"One of {', '.join(DECODER_NAMES)}.")
    source = (source.reveal() if isinstance(source, SecretUrl) else source).strip()
    scheme = re.match(r"^([a-z0-9]{2,}):", source)
    if scheme and scheme.group(1) in _OPENERS:
        return _OPENERS[scheme.group(1)](source, source[scheme.end() :], options)
    if number := re.fullmatch(r"(?:/dev/video)?(\d{1,3})", source):
        return open_v4l2(int(number.group(1)), options)
    if source and "://" not in source:
        path = Path(source).expanduser()
        if path.is_dir() or (path.is_file() and _is_picture(path)):
            return open_folder(str(path), options)
        if path.is_file():
            return open_file(str(path), options)
    raise InputError(
        f"There is no camera, file or folder {redact(source)!r}.",
        hint="A source is one of: " + "; ".join(f"{form.form} ({form.what})" for form in SOURCE_FORMS) + ".",
    )


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in load("edgesdk_targets.preprocess.image_file:IMAGE_SUFFIXES")


_OPENERS: dict[str, Callable[[str, str, SourceOptions], Camera]] = {
    "rtsp": open_stream,
    "rtsps": open_stream,
    "http": open_stream,
    "https": open_stream,
    "folder": lambda _, rest, options: open_folder(rest, options),
    "file": lambda _, rest, options: open_camera(rest.removeprefix("//"), options),
    "csi": open_csi,
    "gst": open_gstreamer,
    "synthetic": open_synthetic,
    "conveyor": open_conveyor,
}
