"""What a run hands to the next one, where the agent starts again in the same process: through a variable of the environment.

Everything else begins anew, and an agent without a state folder has nowhere else to keep it. A run that was started by
somebody else finds nothing, and begins with a full budget.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgesdk_agent.config.overlay import FailedTrial
from edgesdk_agent.steering.restart_budget import RestartBudget

_VARIABLE = "EDGESDK_RUN_BEFORE"


class RunBefore(BaseModel):
    """What the last run of this process leaves.

    Attributes:
        runs: of this process until then.
        restarts: seconds of the monotonic clock, which runs on.
        failed: the desired state that did not come through its trial.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    runs: Annotated[int, Field(ge=0)] = 0
    restarts: Annotated[tuple[float, ...], Field(max_length=1000)] = ()
    failed: FailedTrial | None = None

    @property
    def budget(self) -> RestartBudget:
        """What is left of the restarts."""
        return RestartBudget(self.restarts)


def take_run_before(environment: MutableMapping[str, str] | None = None) -> RunBefore:
    """Return what the last run left, once: what this one starts must not take it for its own."""
    environment = os.environ if environment is None else environment
    try:
        return RunBefore.model_validate_json(environment.pop(_VARIABLE, "{}"))
    except ValidationError:
        return RunBefore()


def leave_for_next_run(run: RunBefore, environment: MutableMapping[str, str] | None = None) -> None:
    """Leave this to the next run of this process."""
    environment = os.environ if environment is None else environment
    environment[_VARIABLE] = run.model_dump_json()
