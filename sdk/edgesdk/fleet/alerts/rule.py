"""A rule: of which devices, which figure must not pass which limit for how long, and who is told.

Four kinds. `offline_for`: seconds since the device went offline. `age_over`: the 95th percentile of results' age, in ms.
`temperature_over`: °C. `fps_under`: frames per second as a share of the device's own baseline, 0 to 1.

Hysteresis has two parts. In time: a limit must be passed for `for_s` before an alert begins, and kept again for
`clear_for_s` before it ends. In the figure: it ends only beyond `clear`, which lies on the good side of `limit`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgesdk.fleet.alerts.scope import Scope
from edgesdk_targets.errors import InputError
from edgesdk_targets.field_problems import field_problems

Kind = Literal["offline_for", "age_over", "temperature_over", "fps_under"]
Severity = Literal["info", "warning", "critical"]

# Where a rule gives no `clear` of its own: so much of the limit, on its good side.
_BAND = {"offline_for": 0.0, "age_over": 0.1, "temperature_over": 0.05, "fps_under": 0.1}
_DAY_S = 86_400.0


class Rule(BaseModel):
    """One rule.

    Attributes:
        name: unique, and part of what is told.
        limit: in the unit of its kind; reaching it is not passing it.
        clear: where the figure is well again; by the kind's own band unless given.
        for_s: how long it must be bad before an alert begins; of `offline_for` the limit says so already.
        clear_for_s: how long it must be well before the alert ends.
        scope: which devices; all unless given.
        channels: names of the channels that are told.
        repeat_s: tell again of what goes on, each so many seconds; 0 never.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    kind: Kind
    limit: Annotated[float, Field(gt=0, le=1e9)]
    clear: Annotated[float | None, Field(ge=0, le=1e9)] = None
    for_s: Annotated[float, Field(ge=0, le=_DAY_S)] = 60.0
    clear_for_s: Annotated[float, Field(ge=0, le=_DAY_S)] = 60.0
    severity: Severity = "warning"
    scope: Scope = Scope()
    channels: Annotated[tuple[str, ...], Field(max_length=16)] = ()
    repeat_s: Annotated[float, Field(ge=0, le=30 * _DAY_S)] = 0.0
    enabled: bool = True

    @model_validator(mode="after")
    def _limits_agree(self) -> Rule:
        if self.kind == "fps_under" and self.limit >= 1:
            raise ValueError("limit of fps_under is a share of the device's own baseline, below 1, such as 0.5")
        good_side = self.clear is None or (self.clear >= self.limit if self.below_is_bad else self.clear <= self.limit)
        if not good_side:
            side = "below" if self.below_is_bad else "above"
            raise ValueError(f"clear lies {side} limit, so that an alert would end while it begins")
        return self

    @property
    def below_is_bad(self) -> bool:
        """Whether small figures are the bad ones."""
        return self.kind == "fps_under"

    def is_bad(self, value: float) -> bool:
        """Tell whether a figure has passed the limit."""
        return value < self.limit if self.below_is_bad else value > self.limit

    def is_well(self, value: float) -> bool:
        """Tell whether a figure is back beyond `clear`; between both it is neither."""
        edge = self.clear
        if edge is None:
            band = _BAND[self.kind]
            edge = self.limit * (1 + band if self.below_is_bad else 1 - band)
        return value >= edge if self.below_is_bad else value <= edge

    @property
    def waits_s(self) -> float:
        """How long a bad figure is waited for; time offline is itself what `offline_for` measures."""
        return 0.0 if self.kind == "offline_for" else self.for_s


def rule_from_json(document: object) -> Rule:
    """Read a rule.

    Raises:
        InputError: a field is missing, unknown, or has a value that it cannot have.
    """
    try:
        return Rule.model_validate(document)
    except ValidationError as error:
        told = " ".join(problem.sentence for problem in field_problems(Rule, error))
        raise InputError(f"The rule cannot be used: {told}", hint="docs/alerts.md says what a rule holds.") from error
