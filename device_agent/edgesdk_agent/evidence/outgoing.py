"""What leaves the folder of pictures: files found by their id, and sent to the configured server."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from edgesdk_agent.config.clips import UploadSection
from edgesdk_agent.evidence.picture_store import KEPT_SUFFIXES
from edgesdk_agent.evidence.tus_upload import TusUpload
from edgesdk_agent.evidence.upload_line import upload_context
from edgesdk_agent.evidence.uploader import Uploader
from edgesdk_agent.server_address import ServerAddress
from edgesdk_targets.errors import EdgeError, InputError

log = logging.getLogger(__name__)

# As `secrets.token_hex(8)` makes them; nothing else may reach a path.
_ID = re.compile(r"[0-9a-f]{16}")


class Outgoing:
    """Send kept files.

    Args:
        section: `clips.upload`, with a url.
        folder: of pictures and clips.
        on_confirmed: is given the name and the metadata of each file that the server has.

    Raises:
        InputError: the file of the server's authority cannot be read.
    """

    def __init__(
        self, section: UploadSection, folder: Path, on_confirmed: Callable[[str, Mapping[str, str]], None]
    ) -> None:
        assert section.url is not None  # noqa: S101  (asked by the caller)
        stopping = threading.Event()
        upload = TusUpload(
            ServerAddress.parse(section.url, "clips.upload.url"),
            "" if section.token is None else section.token.get_secret_value(),
            max_bytes_per_s=section.max_bytes_per_s,
            stopping=stopping,
            context=upload_context(section.ca),
        )
        self._folder = folder
        self._uploader = Uploader(folder, upload, stopping, on_confirmed=on_confirmed)

    def start(self) -> None:
        """Go on with what an earlier run left."""
        self._uploader.start()

    def request_stop(self) -> None:
        """Send no more, and return at once."""
        self._uploader.request_stop()

    def close(self) -> None:
        """Stop; what is not confirmed is sent by the next start."""
        self._uploader.close()

    def send(self, path: Path, *, file_id: str, camera: str, event: str) -> None:
        """Have a file sent; one that cannot be is told and kept."""
        try:
            self._uploader.add(path, {"filename": path.name, "id": file_id, "camera": camera, "event": event})
        except EdgeError as error:
            log.warning("%s is not sent: %s", path.name, error.message)

    def send_by_id(self, file_id: str) -> Path:
        """Have a kept file sent, and return it.

        Raises:
            InputError: there is none of this id.
        """
        path = find_kept(self._folder, file_id)
        self._uploader.add(path, {"filename": path.name, "id": file_id, "camera": _camera_of(path), "event": ""})
        return path

    def counts(self) -> Mapping[str, int]:
        """Return what became of what was to be sent."""
        return self._uploader.counts()


def find_kept(folder: Path, file_id: str) -> Path:
    """Return the file of a picture or clip.

    Raises:
        InputError: that is no id, or there is none of this id.
    """
    if _ID.fullmatch(file_id) is None:
        raise InputError(f"{file_id[:64]!r} is no id of a picture or clip.", hint="Events and `snapshot` name them.")
    for suffix in KEPT_SUFFIXES:
        for path in folder.glob(f"*-{file_id}{suffix}"):
            # One that is being written has a name that begins with a dot.
            if not path.name.startswith("."):
                return path
    raise InputError(
        f"No picture or clip {file_id} is kept here.", hint="It was sent, or deleted for its age or for room."
    )


def _camera_of(path: Path) -> str:
    """Return the camera by a file's name, `CAMERA-TIME-ID.suffix`."""
    return path.name.rsplit("-", 2)[0]
