"""Whether a configuration goes with a model. What the parts refuse at the start is refused of one that is to take over, too.

Else a bundle that took over between two frames would be confirmed, and send pictures with nothing blurred in them, or no
start would work any more.
"""

from __future__ import annotations

from edgesdk_agent.config.root import AgentConfig
from edgesdk_targets.chain import Chain
from edgesdk_targets.model import Model


def check_fits(config: AgentConfig, model: Model | Chain) -> None:
    """Check what the configuration says of a model's classes, variants and task.

    Raises:
        InputError: a class to blur, a rung's variant or what a rule asks for is none of the model's.
    """
    # Each part is imported only where it is configured.
    if config.privacy.blur:
        from edgesdk_agent.privacy.agent_privacy import check_blur

        check_blur(config.privacy.blur, model)
    if config.governor.enabled:
        from edgesdk_agent.governor.agent_governor import check_names

        check_names(config, model)
    if config.events is not None:
        from edgesdk_agent.events.agent_scenes import check_rules

        check_rules(config.events, model, [camera.name for camera in config.cameras])
