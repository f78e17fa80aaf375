"""Every injection by its name."""

from __future__ import annotations

from collections.abc import Callable

from edgesdk.soak.injections.broker_kill import BrokerKill
from edgesdk.soak.injections.camera_freeze import CameraFreeze
from edgesdk.soak.injections.clock_jump import ClockJump
from edgesdk.soak.injections.disk_full import DiskFull
from edgesdk.soak.injections.injection import Injection
from edgesdk.soak.injections.mem_limit import MemLimit
from edgesdk.soak.injections.rtsp_drop import RtspDrop
from edgesdk.soak.injections.sigkill import SigKill
from edgesdk.soak.injections.slow_inference import SlowInference
from edgesdk_targets.errors import InputError

_ALL: tuple[Callable[[], Injection], ...] = (
    CameraFreeze,
    RtspDrop,
    BrokerKill,
    DiskFull,
    ClockJump,
    SigKill,
    SlowInference,
    MemLimit,
)
INJECTIONS: dict[str, Callable[[], Injection]] = {make().name: make for make in _ALL}


def injections_named(text: str) -> list[Injection]:
    """Return the injections of a list with commas; `all` is every one, and an empty text none.

    Raises:
        InputError: there is none of a name.
    """
    names = list(INJECTIONS) if text.strip() == "all" else [name.strip() for name in text.split(",") if name.strip()]
    unknown = next((name for name in names if name not in INJECTIONS), None)
    if unknown is not None:
        raise InputError(f"There is no injection {unknown!r}.", hint=f"all, or some of {', '.join(INJECTIONS)}.")
    return [INJECTIONS[name]() for name in dict.fromkeys(names)]
