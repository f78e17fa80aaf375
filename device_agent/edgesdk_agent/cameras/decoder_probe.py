"""Which decoders work on this device: an element is looked up, and then really decodes a clip in a child process.

Hardware decoders crash, hang and deliver grey pictures where driver, firmware and GStreamer do not fit together; in the
child that costs a second and not the agent. Each is tried once a run.
"""

from __future__ import annotations

import logging
import signal
import tempfile
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edgesdk_agent.cameras.decoders import CODECS, DECODERS, HARDWARE, Codec, Decoder, DecoderChain
from edgesdk_targets.child_watch import Ending, last_message, start_child, watch
from edgesdk_targets.errors import CameraLost

log = logging.getLogger(__name__)

_CHILD = "edgesdk_agent.cameras.decoder_child"
# Python, GStreamer's registry and a driver's start, from a slow card.
_TRIAL_S = 20.0


@dataclass(frozen=True, slots=True)
class DecoderChoice:
    """How one codec is decoded, or why it is not.

    Attributes:
        decoder: which of the kinds.
        chain: None where none works.
        reasons: what was refused on the way, in words.
    """

    decoder: Decoder
    chain: DecoderChain | None
    reasons: tuple[str, ...]


_lock = threading.Lock()
_tried: dict[tuple[Codec, str], str] = {}


def choose(asked: Decoder, codec: Codec) -> DecoderChoice:
    """Return the first decoder that works here, of the kind that is asked for; `auto` takes hardware, then GStreamer."""
    from edgesdk_agent.cameras.gstreamer_library import lacks

    kinds: tuple[Decoder, ...] = (*HARDWARE, "gstreamer") if asked == "auto" else (asked,)
    failed: list[str] = []
    absent: list[str] = []
    try:
        if missing := lacks(CODECS[codec].parse, CODECS[codec].depay):
            return DecoderChoice(asked, None, (f"GStreamer has no {', '.join(missing)}",))
        for kind in kinds:
            for chain in DECODERS[kind][codec]:
                if lacks(chain.element):
                    absent.append(chain.element)
                elif refused := _refusal(codec, chain):
                    failed.append(refused)
                else:
                    return DecoderChoice(kind, chain, tuple(failed))
    except CameraLost as error:
        return DecoderChoice(asked, None, (error.message.rstrip("."),))
    return DecoderChoice(asked, None, (*failed, *([f"GStreamer has no {', '.join(absent)}"] if absent else [])))


def _refusal(codec: Codec, chain: DecoderChain) -> str:
    """Try a chain, once in this run, and return why it cannot be used; nothing where it can."""
    with _lock:
        key = (codec, chain.text)
        if key not in _tried:
            log.info("tries %s on a clip in a process of its own", chain.element)
            _tried[key] = try_chain(codec, chain)
        return _tried[key]


def try_chain(codec: Codec, chain: DecoderChain, *, limit_s: float = _TRIAL_S) -> str:
    """Decode a clip in a child process, and return what went wrong; nothing where it works."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ends = time.monotonic() + limit_s
        child = start_child(_CHILD, codec, chain.text, folder=folder)
        ending = watch(child, folder, lambda: ends)
        if ending is Ending.TOO_LONG:
            return f"{chain.element} hung for {limit_s:g} s"
        if ending is Ending.TOO_MUCH_MEMORY:
            return f"{chain.element} took the device's memory"
        code = child.returncode
        if code == 0:
            return ""
        if code < 0:
            return f"{chain.element} died of {signal.Signals(-code).name}"
        return f"{chain.element}: {last_message(folder) or f'ended with {code}'}"


def known() -> list[tuple[str, str, str]]:
    """Return what the trials of this run found, for another process: codec, chain, and why it is refused."""
    with _lock:
        return [(codec, chain, why) for (codec, chain), why in _tried.items()]


def learn(found: Iterable[tuple[Codec, str, str]]) -> None:
    """Take over what another process found, so that nothing is tried twice."""
    with _lock:
        _tried.update({(codec, chain): why for codec, chain, why in found})
