"""Models as OpenVINO compiled them on this device, kept: to open one again takes a third of the time.

A kept model fits one artifact, one set of settings, one version of the library and one machine; its name is their hash. While
it is being opened it lies under another name, and gets its own back afterwards: one at which the process ended stays there, and is
neither tried nor made again.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from edgesdk_targets.errors import EdgeError
from edgesdk_targets.probe_fingerprint import hash_of, machine_facts
from edgesdk_targets.sealed_file import read_sealed, write_sealed
from edgesdk_targets.session import Load

log = logging.getLogger(__name__)

_MOST_KEPT = 8
# About as large as the artifact. A larger one takes seconds to infer as well, and a card's room is dear.
_MAX_BYTES = 64 << 20
_OPENING = ".opening"


def kept_key(load: Load, settings: dict[str, Any], version: str) -> str:
    """Return the name of a variant that is compiled with these settings by this version of OpenVINO, here."""
    digests = {role: hashlib.sha256(content).hexdigest() for role, content in sorted(load.files.items())}
    shapes = {spec.name: list(spec.shape) for spec in load.variant.inputs}
    return hash_of({"files": digests, "inputs": shapes, "settings": settings, "version": version, **machine_facts()})


class KeptModels:
    """The compiled models of this device, in a folder of the cache."""

    def __init__(self, cache: Path) -> None:
        self._folder = cache / "openvino"

    def open(self, key: str, opener: Callable[[bytes], Any]) -> Any | None:
        """Return what `opener` makes of a kept model; None where there is none that it takes, and then none is left."""
        path = self._folder / key
        trying = path.with_suffix(_OPENING)
        try:
            path.rename(trying)
        except OSError:
            return None
        opened = None
        try:
            blob = read_sealed(trying)
            opened = None if blob is None else opener(blob)
        except Exception as error:  # noqa: BLE001  (the library raises RuntimeError for everything)
            log.info("a kept model is not taken, and compiled anew: %s", error)
        # Another process may have taken it away, or the disk be read only by now: what is open is open.
        with suppress(OSError):
            if opened is None:
                trying.unlink(missing_ok=True)
            else:
                trying.rename(path)
                os.utime(path)
        return opened

    def takes(self, key: str, size: int) -> bool:
        """Say whether a model of so many bytes is kept: no large one, and none at which a process ended. Raises OSError."""
        return size <= _MAX_BYTES and not (self._folder / key).with_suffix(_OPENING).exists()

    def keep(self, key: str, blob: bytes | memoryview) -> None:
        """Keep a compiled model, if it is taken; the oldest beyond a few go."""
        try:
            if not self.takes(key, len(blob)):
                return
            write_sealed(self._folder / key, bytes(blob))
            files = [path for path in self._folder.iterdir() if path.suffix != _OPENING]
            for path in sorted(files, key=lambda path: path.stat().st_mtime, reverse=True)[_MOST_KEPT:]:
                path.unlink(missing_ok=True)
        except (OSError, EdgeError) as error:
            log.debug("the compiled model is not kept: %s", error)
