"""Clips and snapshots on their way to a server: one after the other, begun again after any cut, and deleted once the server
confirmed.

What is to be sent is written beside each file (`NAME.ts.upload`), with where the server keeps it, so that neither a restart
nor a power cut forgets or repeats it. A clip that was deleted for its age or for room meanwhile is not sent, and counted. One
that the server refuses (too large, for instance) holds no other up: it is kept, counted, and tried again by the next start.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from edgesdk_agent.backoff import Backoff
from edgesdk_agent.evidence.tus_upload import TusUpload, UploadGone, UploadRefused
from edgesdk_targets.errors import EdgeError, FetchFailed, InputError
from edgesdk_targets.whole_file import OWNER_ONLY, write_whole

log = logging.getLogger(__name__)

_NOTE = ".upload"
_LONGEST_NOTE = 16 << 10
# A clip that fails so often lets the others go first; fewer would leave many half sent where the line is cut often.
_TRIES_IN_A_ROW = 3


class Uploader:
    """Send the clips of a folder, on a thread of its own.

    Args:
        folder: of the clips.
        upload: talks to the server.
        stopping: that of `upload`.
        backoff: between two tries.
        on_confirmed: is given the name and the metadata of each file that the server has.
    """

    def __init__(
        self,
        folder: Path,
        upload: TusUpload,
        stopping: threading.Event,
        *,
        backoff: Backoff | None = None,
        on_confirmed: Callable[[str, Mapping[str, str]], None] | None = None,
    ) -> None:
        self._on_confirmed = on_confirmed
        self._folder = folder
        self._upload = upload
        self._stopping = stopping
        self._backoff = backoff or Backoff(first_s=2.0, limit_s=600.0)
        self._wake = threading.Event()
        self._counts = {"asked": 0, "confirmed": 0, "cut": 0, "failed": 0, "refused": 0, "gone": 0}
        self._tries: Counter[str] = Counter()
        self._refused: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="edgesdk-upload", daemon=True)

    def start(self) -> None:
        """Begin with what an earlier run left."""
        self._thread.start()

    def request_stop(self) -> None:
        """Send no more, and return at once; a connection that hangs is cut."""
        self._upload.abort()
        self._wake.set()

    def close(self, timeout_s: float = 1.0) -> None:
        """Stop; what is not confirmed stays for the next start."""
        self.request_stop()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    @property
    def folder(self) -> Path:
        """Where what can be sent lies."""
        return self._folder

    def add(self, clip: Path, metadata: Mapping[str, str]) -> None:
        """Have a clip sent.

        Raises:
            NoSpace: the disk is full.
            InputError: the folder cannot be written.
        """
        self._refused.discard(clip.name)
        _write_note(clip, {"metadata": dict(metadata), "location": ""})
        self._counts["asked"] += 1
        self._wake.set()

    def counts(self) -> Mapping[str, int]:
        """Return clips asked for, confirmed, refused and gone before; tries that were cut off or failed; bytes sent."""
        return {**self._counts, "sent_bytes": self._upload.sent_bytes}

    def waiting(self) -> list[Path]:
        """Return the clips that are still to be sent, in their order: the oldest first, but what failed often later."""
        notes = sorted(self._folder.glob(f"*{_NOTE}"), key=lambda path: path.stat().st_mtime)
        clips = [note.with_name(note.name.removesuffix(_NOTE)) for note in notes]
        # A refused clip that was deleted since is taken once more, for its note to go too.
        clips = [clip for clip in clips if clip.name not in self._refused or not clip.exists()]
        return sorted(clips, key=lambda clip: self._tries[clip.name] // _TRIES_IN_A_ROW)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            if self._stopping.is_set():
                return
            try:
                if not self._send_next():
                    self._wake.wait()
                continue
            except EdgeError as error:
                if self._stopping.is_set():
                    return
                self._counts["cut"] += 1
                log.warning("A clip is not sent yet: %s %s", error.message, error.hint)
            except OSError as error:
                self._counts["failed"] += 1
                log.warning("A clip cannot be read: %s", error.strerror)
            except Exception as error:  # noqa: BLE001  (the thread's top: the next try comes)
                self._counts["failed"] += 1
                # Only its kind: http.client puts the head that it does not like, with the token, into its message.
                log.error("A clip cannot be sent: %s", type(error).__name__)  # noqa: TRY400
            self._stopping.wait(self._backoff.next_s())

    def _send_next(self) -> bool:
        """Send the clip whose turn it is; return whether there was one."""
        clip = next(iter(self.waiting()), None)
        if clip is None:
            return False
        self._tries[clip.name] += 1
        try:
            self._send(clip)
        except UploadRefused as error:
            self._refused.add(clip.name)
            self._counts["refused"] += 1
            log.warning("Clip %s is kept here and not sent: %s", clip.name, error.message)
        del self._tries[clip.name]
        self._backoff.reset()
        return True

    def _send(self, clip: Path) -> None:
        if not clip.exists():
            self._counts["gone"] += 1
            _note_of(clip).unlink(missing_ok=True)
            return
        note = _read_note(clip)
        location = str(note.get("location") or "")
        try:
            offset = self._upload.offset(location) if location else 0
        except (UploadGone, InputError):
            # Forgotten there, or begun at another server than the one that is configured now.
            location = ""
        if not location:
            location = self._upload.create(clip, _metadata(note))
            # Known before the first byte goes out, so that no cut makes a second upload of it.
            _write_note(clip, {**note, "location": location})
            offset = 0
        size = clip.stat().st_size
        if offset < size:
            self._upload.send(location, clip, offset)
        if self._upload.offset(location) != size:
            raise FetchFailed("The server does not confirm the whole clip.", hint="Tried again later.")
        clip.unlink(missing_ok=True)
        _note_of(clip).unlink(missing_ok=True)
        self._counts["confirmed"] += 1
        if self._on_confirmed is not None:
            self._on_confirmed(clip.name, _metadata(note))


def _note_of(clip: Path) -> Path:
    return clip.with_name(clip.name + _NOTE)


def _write_note(clip: Path, note: Mapping[str, object]) -> None:
    write_whole(_note_of(clip), json.dumps(note).encode(), OWNER_ONLY)


def _read_note(clip: Path) -> dict[str, object]:
    """Read what is known of an upload; a damaged note is one that knows nothing."""
    try:
        with _note_of(clip).open("rb") as file:
            note = json.loads(file.read(_LONGEST_NOTE))
    except ValueError:
        return {}
    return note if isinstance(note, dict) else {}


def _metadata(note: Mapping[str, object]) -> dict[str, str]:
    said = note.get("metadata")
    return {str(name): str(value) for name, value in said.items()} if isinstance(said, dict) else {}
