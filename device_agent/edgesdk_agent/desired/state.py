"""What a desired state may hold; each part stands for itself, and what is left out is not wanted."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from edgesdk_agent.commands.verbs.log_level import Level
from edgesdk_agent.shadow.plan import ShadowPlan
from edgesdk_targets.field_problems import closest, field_problems
from edgesdk_targets.messages import Refusal


class DesiredUpdate(BaseModel):
    """A bundle or a release of the agent that is to be tried, or one that is to be left; exactly one of both.

    Attributes:
        address: of what is signed. A path would let whoever steers look for files of the device.
        shadow: a shadow run that comes before its trial.
        leave: the digest of one: its update ends, and where it runs already, the one before comes back.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    address: Annotated[str, Field(pattern=r"^https://", max_length=2048)] = ""
    shadow: ShadowPlan | None = None
    leave: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] = ""

    @model_validator(mode="after")
    def _one_of_both(self) -> DesiredUpdate:
        if bool(self.address) == bool(self.leave):
            raise ValueError("must have either address or leave")
        if self.leave and self.shadow is not None:
            raise ValueError("shadow goes with address")
        return self


class DesiredState(BaseModel):
    """The content of `desired`.

    Attributes:
        config: fields by dotted path; those left out are as the device has them.
        bundle: the name of a bundle in the device's folder of bundles; empty: its configuration's own.
        log_level: held while the document holds.
        update: asked for once with each version of the document; births and events tell what runs.
        paused_cameras: exactly these; what commands paused, where it is left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    config: Annotated[dict[str, JsonValue], Field(max_length=256)] = Field(default_factory=dict)
    bundle: Annotated[str, Field(max_length=255)] = ""
    update: DesiredUpdate | None = None
    log_level: Level | None = None
    # A list in JSON; a tuple here would refuse it, strictly read from a value.
    paused_cameras: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=256)] | None = None


def read_state(state: dict[str, JsonValue]) -> tuple[DesiredState, list[Refusal]]:
    """Read what can be read of a desired state, and say why the rest cannot."""
    good: dict[str, JsonValue] = {}
    refused: list[Refusal] = []
    for name, value in state.items():
        if name not in DesiredState.model_fields:
            known = sorted(DesiredState.model_fields)
            meant = closest(name, known)
            why = f"is not known; did you mean {meant!r}?" if meant else f"is not known; one of {', '.join(known)}"
            refused.append(Refusal(what=name[:256], why=why))
            continue
        try:
            DesiredState.model_validate({name: value})
        except ValidationError as error:
            why = " ".join(problem.sentence for problem in field_problems(DesiredState, error)[:3])
            refused.append(Refusal(what=name, why=why[:4096]))
        else:
            good[name] = value
    return DesiredState.model_validate(good), refused
