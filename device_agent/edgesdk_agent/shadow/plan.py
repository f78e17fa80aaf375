"""What is asked of a shadow run, and what it says at the end: numbers, and words for people. No frame is in it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

# What may differ unless said otherwise: of objects more, since each has a threshold to pass.
_USUAL_DIFFER, _USUAL_OBJECTS_DIFFER = 0.05, 0.07
_Words = Annotated[tuple[Annotated[str, Field(max_length=300)], ...], Field(max_length=16)]


class ShadowPlan(BaseModel):
    """A shadow run that is asked for.

    Attributes:
        lasts_s: when it ends at the latest, which holds the candidate; least_s: before which it promotes none.
        share: of the frames, and of the time, that it may take at most.
        differ: how far answers may differ, 0 to 1; by the task unless given.
        slower: how many times as long the candidate may take.
        then: `go on` with the trial once it is promoted, or `wait` until it is asked for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    lasts_s: Annotated[float, Field(ge=1, le=14 * 86400)] = 3600.0
    least_s: Annotated[float, Field(ge=0, le=14 * 86400)] = 300.0
    share: Annotated[float, Field(gt=0, le=1)] = 0.05
    differ: Annotated[float, Field(gt=0, lt=1)] | None = None
    slower: Annotated[float, Field(ge=1, le=100)] = 1.5
    then: Literal["go on", "wait"] = "go on"

    def differ_of(self, task: str) -> float:
        """Return how far the answers to a task may differ."""
        return self.differ or (_USUAL_OBJECTS_DIFFER if task == "detect" else _USUAL_DIFFER)


class ClassSeen(BaseModel):
    """How a candidate does where the running model saw one class."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    times: Annotated[int, Field(ge=0)]
    differs: float


class ShadowSummary(BaseModel):
    """What leaves the device of a shadow run.

    Attributes:
        verdict: empty while it goes on.
        reasons: of the verdict; needs: what is not clear enough yet.
        seconds: that it ran; frames: compared; scenes: of them, which count once each; void: that say nothing, as the running
            model's own copy answered otherwise.
        differs, low, high: mean difference of the answers and between what it is (95 %); allowed: the limit.
        classes: those that differ most; rare: how many were seen too seldom to be judged.
        slower: times as long as the running model; growth_kb: by how much its memory rises with each frame; memory_mb: held.
        paused: how often its share fell to nothing, and why.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    verdict: Literal["promote", "hold", "reject", ""] = ""
    reasons: _Words = ()
    needs: _Words = ()
    seconds: float = 0.0
    frames: int = 0
    scenes: int = 0
    void: int = 0
    differs: float | None = None
    low: float = 0.0
    high: float = 1.0
    allowed: float = 0.0
    classes: Annotated[dict[Annotated[str, Field(max_length=64)], ClassSeen], Field(max_length=16)] = Field(
        default_factory=dict
    )
    rare: int = 0
    slower: float | None = None
    growth_kb: float | None = None
    memory_mb: float | None = None
    paused: Annotated[dict[Annotated[str, Field(max_length=64)], int], Field(max_length=16)] = Field(
        default_factory=dict
    )

    def in_words(self) -> str:
        """Return one line for a person."""
        known = f"{self.frames} frames of {self.scenes} scenes in {self.seconds:.0f} s"
        if self.verdict == "reject":
            return f"the shadow run rejects it: {'; '.join(self.reasons)} ({known})"
        if self.verdict == "hold":
            return f"the shadow run cannot tell: {'; '.join((*self.reasons, *self.needs))} ({known})"
        said = "promotes it" if self.verdict == "promote" else "goes on"
        differs = "" if self.differs is None else f", answers differ by {100 * self.differs:.1f} %"
        slower = "" if self.slower is None else f", {self.slower:.2f} times as long"
        return f"the shadow run {said}: {known}{differs}{slower}"
