"""Cameras to results: capture, preprocessing and inference overlap, and nothing of frame size is copied between them."""

from edgesdk_agent.frame import FrameResult
from edgesdk_agent.meter import FrameStats
from edgesdk_agent.pipeline.model_inputs import Slot
from edgesdk_agent.pipeline.pipeline import Pipeline
from edgesdk_agent.pipeline.policy import Policy, slots_wanted

__all__ = ["FrameResult", "FrameStats", "Pipeline", "Policy", "Slot", "slots_wanted"]
