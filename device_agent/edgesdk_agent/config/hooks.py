"""The sections `hooks` and `stages`: functions of the user's own."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from edgesdk_agent.config.section import Section
from edgesdk_agent.delivery.hook_name import HookName
from edgesdk_targets.errors import InputError


def _hook_name(value: str) -> str:
    try:
        return str(HookName.parse(value))
    except InputError as error:
        raise ValueError(f"{error.message} {error.hint}") from error


Hook = Annotated[str, AfterValidator(_hook_name), Field(max_length=512)]
WhenFull = Literal["wait", "drop_oldest", "auto"]
_QUEUE: Final = 8
_WHEN_FULL: Final = "auto"


def _check_inline(queue: int, when_full: WhenFull) -> None:
    """Refuse what would be ignored."""
    useless = "queue" if queue != _QUEUE else "when_full" if when_full != _WHEN_FULL else ""
    if useless:
        raise ValueError(
            f"{useless} is given, and nothing waits for what runs inline; leave it out, or set isolate: process"
        )


class HookSection(Section):
    """A function of yours that is given every result; see docs/hooks.md.

    Attributes:
        call: `package.module:function`.
        isolate: `process` protects the pipeline from all it may do, `thread` from its waiting, `inline` from its errors.
        queue: how many results may wait for it.
        when_full: `wait` loses nothing and holds the pipeline, `drop_oldest` never holds it; `auto` waits where every
            camera is `every_frame`.
        timeout_s: for one result; a hook that takes longer is told, and where it is a process, started again.
        image: give it the picture too.
    """

    call: Hook
    isolate: Literal["process", "thread", "inline"] = "process"
    queue: int = Field(default=_QUEUE, ge=1, le=10_000)
    when_full: WhenFull = _WHEN_FULL
    timeout_s: float = Field(default=5.0, gt=0, le=3600)
    image: bool = False

    @model_validator(mode="after")
    def _has_a_queue(self) -> HookSection:
        if self.isolate == "inline":
            _check_inline(self.queue, self.when_full)
        return self


class StagesSection(Section):
    """Functions of yours in the way of frames and results; see docs/hooks.md.

    Attributes:
        on_frame: says what the model is to see of a frame: a picture, or None to leave it out.
        on_result: says what is told of a result: the result, another one, or None to keep it back.
        isolate: `inline` costs nothing but its own time, on a thread of the pipeline; `process` protects the pipeline from all
            that it may do: a process for each camera before the model, one after it.
        queue: in a process, how many results may wait for `on_result`.
        when_full: in a process, `wait` loses nothing and holds the pipeline, `drop_oldest` never holds it; `auto` waits where
            every camera is `every_frame`.
        timeout_s: for one call. One that takes longer is told as hung: inline its camera is left out until it returns, a process
            is ended and started again.
    """

    on_frame: Hook | None = None
    on_result: Hook | None = None
    isolate: Literal["inline", "process"] = "inline"
    queue: int = Field(default=_QUEUE, ge=1, le=10_000)
    when_full: WhenFull = _WHEN_FULL
    timeout_s: float = Field(default=5.0, gt=0, le=3600)

    @model_validator(mode="after")
    def _has_a_queue(self) -> StagesSection:
        if self.isolate == "inline":
            _check_inline(self.queue, self.when_full)
        return self
