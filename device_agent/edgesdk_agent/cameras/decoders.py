"""Which GStreamer elements decode which codec, as data: hardware decoders first of all, then GStreamer's software.

The hardware ones were written from their makers' documentation and have not been run on their hardware here. That is
why none is used before it has decoded a clip on the device itself (`decoder_probe`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Decoder = Literal["auto", "software", "gstreamer", "nvdec", "v4l2m2m", "vaapi"]
Codec = Literal["h264", "h265"]
DECODER_NAMES: tuple[str, ...] = get_args(Decoder)
SOFTWARE = "software (FFmpeg, 1 thread)"


@dataclass(frozen=True, slots=True)
class DecoderChain:
    """One way to decode a codec.

    Attributes:
        element: the decoder; where GStreamer has none of this name, the chain cannot be tried.
        text: from the parsed stream up to raw video in ordinary memory, in `gst-launch` syntax.
    """

    element: str
    text: str


@dataclass(frozen=True, slots=True)
class CodecElements:
    """What carries a codec to a decoder.

    Attributes:
        encoding: its name in RTSP.
        caps: its name inside GStreamer.
        depay: takes it out of RTP's packets; parse: finds the frames.
    """

    encoding: str
    caps: str
    depay: str
    parse: str


CODECS: Mapping[Codec, CodecElements] = {
    "h264": CodecElements("H264", "video/x-h264", "rtph264depay", "h264parse"),
    "h265": CodecElements("H265", "video/x-h265", "rtph265depay", "h265parse"),
}

# Jetson's decoder leaves its pictures in memory of its own, from where its converter takes them out.
_JETSON = DecoderChain("nvv4l2decoder", "nvv4l2decoder ! nvvidconv ! video/x-raw,format=BGRx")


def _plain(*elements: str) -> tuple[DecoderChain, ...]:
    return tuple(DecoderChain(text.partition(" ")[0], text) for text in elements)


# In the order in which they are tried. One thread a camera: more take the cores from the model, and each holds a frame.
DECODERS: Mapping[Decoder, Mapping[Codec, tuple[DecoderChain, ...]]] = {
    "nvdec": {"h264": (_JETSON, *_plain("nvh264dec")), "h265": (_JETSON, *_plain("nvh265dec"))},
    # Stateful on a Raspberry Pi 4; stateless (`sl`) on a Pi 5, for H.265 only, and on Rockchip and Allwinner.
    "v4l2m2m": {"h264": _plain("v4l2h264dec", "v4l2slh264dec"), "h265": _plain("v4l2slh265dec", "v4l2h265dec")},
    "vaapi": {"h264": _plain("vah264dec", "vaapih264dec"), "h265": _plain("vah265dec", "vaapih265dec")},
    "gstreamer": {
        "h264": _plain("avdec_h264 max-threads=1", "openh264dec"),
        "h265": _plain("avdec_h265 max-threads=1", "libde265dec max-threads=1"),
    },
}
HARDWARE: tuple[Decoder, ...] = ("nvdec", "v4l2m2m", "vaapi")
