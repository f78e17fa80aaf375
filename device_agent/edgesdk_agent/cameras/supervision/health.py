"""What a camera's state is called, and why it is so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

CameraState = Literal["connecting", "online", "degraded", "offline"]
Cause = Literal["", "lost", "slow", "frozen", "resized", "hung"]
CAMERA_STATES: tuple[CameraState, ...] = get_args(CameraState)


@dataclass(frozen=True, slots=True)
class CameraHealth:
    """How a camera does.

    Attributes:
        state: `connecting`: it is being opened for the first time. `online`: its pictures come as expected. `degraded`:
            they come too slowly or show one picture, or it was lost, or changed their size, and is being opened again.
            `offline`: it did not answer, did not come back within its attempts, or its reader hangs.
        cause: why it is not online: `lost`, `slow`, `frozen`, `resized` or `hung`; empty otherwise.
        message: the cause in words, without passwords.
    """

    state: CameraState
    cause: Cause = ""
    message: str = ""


ONLINE = CameraHealth("online")
CONNECTING = CameraHealth("connecting")
