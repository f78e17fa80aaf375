"""What was set from afar: a layer over the file, kept in a file of its own that is written whole.

Between a change and the end of its trial the file also holds what was before. So a device that is cut off, crashes or is
started again in between comes back as it was; only a change that ends its trial well stays.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue, ValidationError

from edgesdk_agent.config.field_path import field_path
from edgesdk_targets.bounded_file import FileTooLarge, read_bounded
from edgesdk_targets.errors import EdgeError, InputError
from edgesdk_targets.late_model import LateModel
from edgesdk_targets.messages import DesiredReport
from edgesdk_targets.messages.envelope import Count, JsonObject, check_json
from edgesdk_targets.whole_file import OWNER_ONLY, write_whole

log = logging.getLogger(__name__)

_LARGEST_BYTES = 1 << 20
Values = Annotated[dict[str, JsonValue], Field(max_length=256)]


class Layer(LateModel):
    """Settings from afar.

    Attributes:
        set: by commands, by dotted path; stronger than `desired`.
        desired: by the desired state.
        bundle: a name in the folder of bundles; the configuration's own bundle where it is empty.
        paused: cameras that let nothing through.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    set: Values = Field(default_factory=dict)
    desired: Values = Field(default_factory=dict)
    bundle: str = Field(default="", max_length=255)
    paused: tuple[str, ...] = Field(default=(), max_length=256)

    def values(self) -> dict[str, tuple[JsonValue, str]]:
        """Return each value by its dotted path, and where it comes from."""
        desired: dict[str, tuple[JsonValue, str]] = {path: (one, "desired state") for path, one in self.desired.items()}
        return {**desired, **{path: (one, "command set") for path, one in self.set.items()}}


class Trial(LateModel):
    """A change that is not proven yet.

    Attributes:
        before: what to come back to.
        started: the change was made for a start to come, and that start has begun.
        version: of the desired state that asked for it; 0 where only commands did.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    before: Layer
    restart: bool = False
    started: bool = False
    version: Count = 0

    @property
    def waits(self) -> bool:
        """Whether it begins with the next start only."""
        return self.restart and not self.started


class FailedTrial(LateModel):
    """A desired state that did not come through its trial.

    Attributes:
        version: of the desired state; why: it was taken back.
        cut_off: how many of its trials the end of the process cut off, which may be nobody's fault.
        final: it is not tried again.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: Count
    why: Annotated[str, Field(max_length=4096)]
    cut_off: Count = 0
    final: bool = False


class Overlay(LateModel):
    """The whole file.

    Attributes:
        version: of the desired state that was read last; report: what became of it.
        failed: the last desired state that did not come through its trial.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_id: Literal["overlay/1"] = Field(default="overlay/1", alias="schema")
    layer: Layer = Field(default_factory=Layer)
    version: Count = 0
    report: DesiredReport = Field(default_factory=DesiredReport)
    wanted: JsonObject = Field(default_factory=dict)
    trial: Trial | None = None
    failed: FailedTrial | None = None

    def but(self, **changes: object) -> Overlay:
        """Return it with some fields changed."""
        return self.model_copy(update=changes)

    def encoded(self) -> bytes:
        """Return the file's content."""
        return self.model_dump_json(by_alias=True).encode()


class OverlayFile:
    """The overlay and its file; used by one thread.

    Args:
        path: None keeps it in memory, until the end of the process.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._owed = False
        self.now, self.damage = _read(path)

    @property
    def persistent(self) -> bool:
        """Whether it outlives the process."""
        return self._path is not None

    def write(self, overlay: Overlay) -> None:
        """Make this the overlay; when it returns, no crash takes it back.

        Raises:
            NoSpace, InputError: the disk does not take it; the old one stays.
        """
        if self._path is not None:
            write_whole(self._path, overlay.encoded(), OWNER_ONLY)
        self.now, self._owed = overlay, False

    def hold(self, overlay: Overlay) -> None:
        """Make this the overlay, whether the disk takes it now or at a later `pay`."""
        self.now, told = overlay, self._owed
        self._owed = True
        try:
            self.write(overlay)
        except EdgeError as error:
            if not told:
                log.warning("%s %s It is tried again.", error.message, error.hint)

    def leave_out(self, overlay: Overlay) -> None:
        """Go on with less than the file holds, which keeps it until the next change: what does not fit today may tomorrow."""
        self.now = overlay

    def pay(self) -> None:
        """Write what the disk did not take so far, if there is anything."""
        if self._owed:
            self.hold(self.now)


def checked_values(values: Mapping[str, JsonValue]) -> None:
    """Refuse what must not come from afar, whatever field it is for.

    Raises:
        InputError: a path is none, a number is none, or a value asks for a secret of this device.
    """
    for path, value in values.items():
        field_path(path)
        try:
            check_json({"": value})
        except ValueError as error:
            raise InputError(f"{path}: {error}.", hint="Send plain JSON.") from error
        if _has_reference(value):
            # `${env:…}` would copy a secret of this device to wherever the field is shown.
            raise InputError(f"{path}: a reference to a secret cannot be set from afar.", hint="Write it in the file.")


def _has_reference(value: JsonValue) -> bool:
    if isinstance(value, str):
        return "${" in value
    if isinstance(value, dict):
        return any("${" in key or _has_reference(item) for key, item in value.items())
    return isinstance(value, list) and any(map(_has_reference, value))


def _read(path: Path | None) -> tuple[Overlay, str]:
    """Return the overlay, and what is wrong with its file; a damaged one is put aside, for somebody to look at."""
    if path is None or not path.exists():
        return Overlay(), ""
    try:
        return Overlay.model_validate_json(read_bounded(path, _LARGEST_BYTES)), ""
    except (FileTooLarge, ValidationError):
        try:
            path.replace(path.with_name(path.name + ".damaged"))
        except OSError as error:
            log.warning("%s cannot be put aside: %s", path, error.strerror or error)
        return Overlay(), f"{path} is damaged; what was set from afar is forgotten, and the file put aside."
    except InputError as error:
        return Overlay(), error.message


def bundle_in(folder: Path | None, name: str) -> Path:
    """Return the path of a bundle of the folder of bundles.

    Raises:
        InputError: there is no such folder, or no such bundle in it, or the name leads out of it.
    """
    if folder is None:
        raise InputError("No bundle may be asked for here.", hint="Set commands.bundles to the folder with bundles.")
    if not name or name in {".", ".."} or "/" in name or "\0" in name or "\\" in name:
        raise InputError(f"{name[:80]!r} is no name of a bundle.", hint="Give the name alone, without a folder.")
    try:
        path = (folder / name).resolve()
        found = path.parent == folder.resolve() and path.exists()
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{name[:80]!r} cannot be looked for.", hint="Give another name.") from error
    if not found:
        raise InputError(f"There is no bundle {name[:80]!r} here.", hint=f"Put it into {folder} first.")
    return path
