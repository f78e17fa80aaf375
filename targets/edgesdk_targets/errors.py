"""The errors of edgesdk: one root, families by who can mend it.

EdgeError
├── InputError        the model, data or configuration that the caller gave
│   ├── UnknownTarget
│   ├── ContentChanged  files that long work stands on are not what they were
│   └── OtherNode     a message that is of another device than its topic
├── MissingExtra      a package that has to be installed
├── ConversionError   a model could not be turned into an artifact
│   ├── StepFailed    one conversion step failed
│   ├── ParityError   the artifact answers differently from its source
│   └── GateFailed    an accuracy gate said no
├── BundleError       an artifact that is not to be trusted
│   ├── BadBundle     not a bundle, or damaged
│   ├── UnknownSchema a bundle of a version that this edgesdk cannot read
│   ├── BadHash       content differs from what the manifest says
│   ├── BadSignature  a signature that does not hold
│   │   ├── Unsigned
│   │   ├── UnknownKey   signed by nobody who is trusted here
│   │   └── RevokedKey   signed by somebody who no longer is
│   ├── UnsafePath    a name that would leave the bundle's folder
│   ├── TooLarge      more bytes than declared or allowed
│   ├── WrongTarget   no variant for this device
│   └── Downgrade
├── DeviceError       camera, runtime or disk of the device
│   ├── CameraLost
│   ├── SessionFailed
│   └── NoSpace
└── LinkError         broker or server
    ├── NotConnected
    └── FetchFailed
"""

from __future__ import annotations

import math


class EdgeError(Exception):
    """Any failure that edgesdk explains: what is wrong, and what to do about it.

    Attributes:
        code: stable machine-readable key; scripts and the fleet count errors by it.
        message: what is wrong, one sentence.
        hint: what to do, one sentence or a command; may be empty.
    """

    code = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.hint}" if self.hint else self.message


class InputError(EdgeError):
    """The model, data or configuration given by the caller cannot be used."""

    code = "input"


class UnknownTarget(InputError):
    """No target of this name is known."""

    code = "unknown_target"


class ContentChanged(InputError):
    """Files that long work stands on are not what they were when it began: none of its steps is to blame."""

    code = "content_changed"


class OtherNode(InputError):
    """A message says that it is of another device than the topic on which it came.

    Attributes:
        says: of which.
    """

    code = "other_node"

    def __init__(self, message: str, *, says: str) -> None:
        super().__init__(message, hint="A device speaks only for itself.")
        self.says = says


class MissingExtra(EdgeError):
    """A package that this operation needs is not installed."""

    code = "missing_extra"

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package} is not installed, and this needs it.",
            hint=f"pip install 'edgesdk[{extra}]'",
        )
        self.package = package
        self.extra = extra


class ConversionError(EdgeError):
    """The model could not be turned into an artifact."""

    code = "conversion"


class StepFailed(ConversionError):
    """One conversion step failed."""

    code = "step_failed"


class ParityError(ConversionError):
    """The artifact answers differently from its source."""

    code = "parity"


class GateFailed(ConversionError):
    """A gate on accuracy or speed refused the artifact.

    Attributes:
        excess: by how much it was measured to be beyond the limit, as a fraction; infinite where nothing was measured.
    """

    code = "gate_failed"

    def __init__(self, message: str, *, hint: str = "", excess: float = math.inf) -> None:
        super().__init__(message, hint=hint)
        self.excess = excess


class BundleError(EdgeError):
    """The bundle is not to be trusted."""

    code = "bundle"


class BadBundle(BundleError):
    """The file is no bundle, or is damaged."""

    code = "bad_bundle"


class UnknownSchema(BundleError):
    """The bundle has a schema that this version of edgesdk cannot read."""

    code = "unknown_schema"


class BadHash(BundleError):
    """A file's content differs from what the manifest says."""

    code = "bad_hash"


class BadSignature(BundleError):
    """The signature is missing, wrong, or by a key that is not trusted."""

    code = "bad_signature"


class Unsigned(BadSignature):
    """There is no signature, and one is asked for."""

    code = "unsigned"


class UnknownKey(BadSignature):
    """The keys that signed are not known here."""

    code = "unknown_key"


class RevokedKey(BadSignature):
    """The keys that signed are trusted no more."""

    code = "revoked_key"


class UnsafePath(BundleError):
    """A name inside the bundle would lead outside its folder."""

    code = "unsafe_path"


class TooLarge(BundleError):
    """The bundle expands to more than it declares or than is allowed."""

    code = "too_large"


class WrongTarget(BundleError):
    """The bundle holds nothing that can run on this device."""

    code = "wrong_target"


class Downgrade(BundleError):
    """The bundle is older than what this device has confirmed."""

    code = "downgrade"


class DeviceError(EdgeError):
    """A part of the device failed."""

    code = "device"


class CameraLost(DeviceError):
    """The camera cannot be opened, or stopped delivering."""

    code = "camera_lost"


class SessionFailed(DeviceError):
    """The runtime could not load or run the model."""

    code = "session_failed"


class NoSpace(DeviceError):
    """The disk is full."""

    code = "no_space"


class LinkError(EdgeError):
    """The broker or a server could not be used."""

    code = "link"


class NotConnected(LinkError):
    """There is no connection to the broker."""

    code = "not_connected"


class FetchFailed(LinkError):
    """A download failed."""

    code = "fetch_failed"
