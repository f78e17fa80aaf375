"""Pictures that the device makes itself, for trying and measuring."""

from __future__ import annotations

from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.cameras.openers.loading import CAMERAS, load
from edgesdk_agent.cameras.openers.wishes import asked, paced, rate, warn_of_unused_decoder
from edgesdk_agent.cameras.source_options import SourceOptions, with_text_options
from edgesdk_targets.errors import InputError
from edgesdk_targets.secret_url import redact_text


def open_synthetic(source: str, rest: str, options: SourceOptions) -> Camera:
    """Open a moving texture."""
    kind, _, text = rest.partition("?")
    if kind == "conveyor":
        return open_conveyor(source, rest, options)
    if kind:
        raise InputError(f"There is no synthetic source {redact_text(kind)!r}.", hint="Use synthetic: or conveyor:.")
    warn_of_unused_decoder(options, "made pictures")
    options = with_text_options(options, source, text)
    camera: Camera = load(f"{CAMERAS}.synthetic:SyntheticCamera")(
        width=int(asked(options.width, 640)),
        height=int(asked(options.height, 480)),
        frames=options.frames,
        seed=options.seed,
    )
    return paced(camera, options)


def open_conveyor(source: str, rest: str, options: SourceOptions) -> Camera:
    """Open digits on a conveyor."""
    warn_of_unused_decoder(options, "made pictures")
    options = with_text_options(options, source, rest.partition("?")[2])
    camera: Camera = load(f"{CAMERAS}.conveyor:ConveyorCamera")(
        seed=options.seed,
        fps=rate(options, None),
        live=options.live is not False,
        frames=options.frames,
        truth_path=options.truth,
    )
    return camera
