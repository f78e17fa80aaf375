"""Open a source with the decoder that is asked for, or say why it is not used and take software."""

from __future__ import annotations

import logging
from collections.abc import Callable

from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.cameras.decoder_probe import DecoderChoice, choose
from edgesdk_agent.cameras.decoders import CODECS, SOFTWARE, Codec, Decoder
from edgesdk_agent.cameras.gstreamer import DecoderRefused

log = logging.getLogger(__name__)

# Why `auto` took software, as it was told: of many cameras, opened again and again, the reason is the same.
_told: set[str] = set()


def open_decoded(
    asked: Decoder,
    by_gstreamer: Callable[[dict[Codec, DecoderChoice]], Camera],
    by_software: Callable[[str], Camera],
) -> Camera:
    """Open a camera by GStreamer where a decoder of the kind asked for works here, and by OpenCV otherwise.

    Args:
        asked: `auto` takes what works; why it is not GStreamer is told once. Of any other kind a refusal is a warning.
        by_gstreamer: opens it with what was chosen for each codec.
        by_software: opens it with OpenCV; is given what to say of the decoder.

    Raises:
        CameraLost, InputError: what the two raise.
    """
    if asked == "software":
        return by_software(SOFTWARE)
    choices = {codec: choose(asked, codec) for codec in CODECS}
    if any(choice.chain for choice in choices.values()):
        try:
            return by_gstreamer(choices)
        except DecoderRefused as refused:
            why = refused.message
    else:
        why = "; ".join(dict.fromkeys(reason for choice in choices.values() for reason in choice.reasons))
    if asked != "auto":
        log.warning("decoder %s is not used: %s", asked, why)
    elif why not in _told:
        _told.add(why)
        log.info("pictures are decoded by software (FFmpeg): %s", why)
    return by_software(SOFTWARE if asked == "auto" else f"{SOFTWARE}, as {asked} is not usable: {why}")
