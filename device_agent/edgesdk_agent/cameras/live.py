"""Put a live camera under supervision, in this process or with its reader in one of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgesdk_agent.cameras.camera import Camera, CameraCounts
from edgesdk_agent.cameras.decoders import CODECS, HARDWARE
from edgesdk_agent.cameras.isolation.picture_slots import PictureSlot
from edgesdk_agent.cameras.source_options import SourceOptions
from edgesdk_agent.cameras.supervision.supervised import Opener, SupervisedCamera
from edgesdk_targets.secret_url import SecretUrl

# What the reader's process is told of the options; the rest is this process's part.
_TOLD = ("live", "fps", "detect_fps", "decoder", "width", "height", "notice_sizes", "open_timeout_s")


def supervised(opener: Opener, source: SecretUrl, options: SourceOptions, counts: CameraCounts) -> Camera:
    """Open a live camera under supervision; alone where the options say so.

    Args:
        opener: opens it in this process; is told how long it may be silent.
        source: what it opens, for a reader in another process.
        options: how.
        counts: of the camera over all its lives.

    Raises:
        CameraLost: it must open and does not answer.
        InputError: an option cannot be used.
    """
    limits = options.limits()
    if not options.supervised:
        return opener(limits.silent_after_s)
    return SupervisedCamera(
        _isolated_if_need_be(opener, source, options, counts),
        limits=limits,
        expected_fps=options.fps,
        wanted_fps=options.detect_fps,
        counts=counts,
        must_open=options.must_open,
        description=str(source),
    )


def _isolated_if_need_be(opener: Opener, source: SecretUrl, options: SourceOptions, counts: CameraCounts) -> Opener:
    """Return what opens the camera, here or in a process of its own.

    Which of them is found when it opens for the first time, as decoders may have to be tried for that.
    """
    chosen: list[Opener] = []

    def open_it(silent_s: float) -> Camera:
        if not chosen:
            chosen.append(_isolating(source, options, counts) if _is_isolated(source, options) else opener)
        return chosen[0](silent_s)

    return open_it


def _is_isolated(source: SecretUrl, options: SourceOptions) -> bool:
    """Say whether the reader is a process of its own: where that is asked for, or a driver decodes, which may hang."""
    if options.isolate != "auto":
        return options.isolate
    if options.decoder == "software" or not source.reveal().startswith("rtsp"):
        return False
    from edgesdk_agent.cameras.decoder_probe import choose

    choices = [choose(options.decoder, codec) for codec in CODECS]
    return any(choice.chain is not None and choice.decoder in HARDWARE for choice in choices)


def _isolating(source: SecretUrl, options: SourceOptions, counts: CameraCounts) -> Callable[[float], Camera]:
    slots: list[PictureSlot] = []
    told: dict[str, Any] = {name: getattr(options, name) for name in _TOLD}

    def opener(silent_s: float) -> Camera:
        from edgesdk_agent.cameras.isolation.isolated import IsolatedCamera

        return IsolatedCamera(
            source,
            {**told, "read_timeout_s": silent_s},
            description=str(source),
            silent_s=silent_s,
            open_s=options.open_timeout_s,
            slots=slots,
            counts=counts,
        )

    return opener
