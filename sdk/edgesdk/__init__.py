"""edgesdk: from a trained vision model to a monitored fleet of edge devices.

The public names are resolved on first use, so that `import edgesdk` costs nothing and needs no runtime.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from edgesdk.comparison.compare import compare
    from edgesdk.compression_run.compress import compress
    from edgesdk.conversion import convert
    from edgesdk.embedded_model import Chain, Model, load
    from edgesdk_agent.cameras.camera import Camera, CameraInfo, FrameLost
    from edgesdk_agent.delivery.hook_settings import HookSettings, hook_delivery
    from edgesdk_agent.delivery.stage_settings import StageSettings, filtered_delivery, frame_filter
    from edgesdk_agent.embedding import Pipeline
    from edgesdk_agent.events.event import SceneEvent
    from edgesdk_agent.events.scene import Scene
    from edgesdk_agent.frame import Frame, FrameResult
    from edgesdk_agent.meter import FrameStats
    from edgesdk_agent.timeline.timeline import Timeline
    from edgesdk_agent.tracking.tracker import Tracker
    from edgesdk_agent.zones.line import Line
    from edgesdk_agent.zones.zone import Zone
    from edgesdk_targets.bundle.bundle import Bundle, open_bundle
    from edgesdk_targets.catalogue import find_target
    from edgesdk_targets.errors import (
        BundleError,
        CameraLost,
        ConversionError,
        DeviceError,
        EdgeError,
        GateFailed,
        InputError,
        MissingExtra,
        SessionFailed,
        WrongTarget,
    )
    from edgesdk_targets.results import Chained, Classification, Detections, Embedding, Regression, Result, Text
    from edgesdk_targets.session import SessionOptions
    from edgesdk_targets.target import Target

_WHERE = {
    "Bundle": "edgesdk_targets.bundle.bundle:Bundle",
    "BundleError": "edgesdk_targets.errors:BundleError",
    "Camera": "edgesdk_agent.cameras.camera:Camera",
    "CameraInfo": "edgesdk_agent.cameras.camera:CameraInfo",
    "CameraLost": "edgesdk_targets.errors:CameraLost",
    "Chain": "edgesdk.embedded_model:Chain",
    "Chained": "edgesdk_targets.results:Chained",
    "Classification": "edgesdk_targets.results:Classification",
    "ConversionError": "edgesdk_targets.errors:ConversionError",
    "Detections": "edgesdk_targets.results:Detections",
    "DeviceError": "edgesdk_targets.errors:DeviceError",
    "EdgeError": "edgesdk_targets.errors:EdgeError",
    "Embedding": "edgesdk_targets.results:Embedding",
    "Frame": "edgesdk_agent.frame:Frame",
    "FrameLost": "edgesdk_agent.cameras.camera:FrameLost",
    "FrameResult": "edgesdk_agent.frame:FrameResult",
    "FrameStats": "edgesdk_agent.meter:FrameStats",
    "GateFailed": "edgesdk_targets.errors:GateFailed",
    "HookSettings": "edgesdk_agent.delivery.hook_settings:HookSettings",
    "InputError": "edgesdk_targets.errors:InputError",
    "Line": "edgesdk_agent.zones.line:Line",
    "MissingExtra": "edgesdk_targets.errors:MissingExtra",
    "Model": "edgesdk.embedded_model:Model",
    "Pipeline": "edgesdk_agent.embedding:Pipeline",
    "Regression": "edgesdk_targets.results:Regression",
    "Result": "edgesdk_targets.results:Result",
    "Scene": "edgesdk_agent.events.scene:Scene",
    "SceneEvent": "edgesdk_agent.events.event:SceneEvent",
    "SessionFailed": "edgesdk_targets.errors:SessionFailed",
    "SessionOptions": "edgesdk_targets.session:SessionOptions",
    "StageSettings": "edgesdk_agent.delivery.stage_settings:StageSettings",
    "Target": "edgesdk_targets.target:Target",
    "Text": "edgesdk_targets.results:Text",
    "Timeline": "edgesdk_agent.timeline.timeline:Timeline",
    "Tracker": "edgesdk_agent.tracking.tracker:Tracker",
    "WrongTarget": "edgesdk_targets.errors:WrongTarget",
    "Zone": "edgesdk_agent.zones.zone:Zone",
    "compare": "edgesdk.comparison.compare:compare",
    "compress": "edgesdk.compression_run.compress:compress",
    "convert": "edgesdk.conversion:convert",
    "filtered_delivery": "edgesdk_agent.delivery.stage_settings:filtered_delivery",
    "find_target": "edgesdk_targets.catalogue:find_target",
    "frame_filter": "edgesdk_agent.delivery.stage_settings:frame_filter",
    "hook_delivery": "edgesdk_agent.delivery.hook_settings:hook_delivery",
    "load": "edgesdk.embedded_model:load",
    "open_bundle": "edgesdk_targets.bundle.bundle:open_bundle",
}

__all__ = [
    "Bundle",
    "BundleError",
    "Camera",
    "CameraInfo",
    "CameraLost",
    "Chain",
    "Chained",
    "Classification",
    "ConversionError",
    "Detections",
    "DeviceError",
    "EdgeError",
    "Embedding",
    "Frame",
    "FrameLost",
    "FrameResult",
    "FrameStats",
    "GateFailed",
    "HookSettings",
    "InputError",
    "Line",
    "MissingExtra",
    "Model",
    "Pipeline",
    "Regression",
    "Result",
    "Scene",
    "SceneEvent",
    "SessionFailed",
    "SessionOptions",
    "StageSettings",
    "Target",
    "Text",
    "Timeline",
    "Tracker",
    "WrongTarget",
    "Zone",
    "compare",
    "compress",
    "convert",
    "filtered_delivery",
    "find_target",
    "frame_filter",
    "hook_delivery",
    "load",
    "open_bundle",
]


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module 'edgesdk' has no attribute {name!r}")
    module, _, attribute = _WHERE[name].partition(":")
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
