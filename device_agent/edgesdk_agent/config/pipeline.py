"""The section `pipeline`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgesdk_agent.config.section import Section


class PipelineSection(Section):
    """How the model is run.

    Attributes:
        threads: for one inference; chosen by tuning unless given; with `streams` at most four on each of the cores.
        streams: inferences at the same time; likewise.
        pin: hold the runtime's threads to cores; `auto` where no other process does so on this machine, and it is faster.
        hint: what the model is run for: `latency` is the quickest answer to one picture, `throughput` the most pictures a
            second, `age` young results of live cameras; `auto` takes `throughput` where every camera is `every_frame`, else `age`.
        tune: `auto` measures once on this device which variant, threads and streams are best; `off` takes the first variant.
        probe_timeout_s: a runtime that hangs longer than this, tried in a process of its own before the first load, is not
            used; 0 loads it without trying.
    """

    threads: int | None = Field(default=None, ge=1, le=256)
    streams: int | None = Field(default=None, ge=1, le=256)
    pin: Literal["auto", "on", "off"] = "auto"
    hint: Literal["auto", "latency", "throughput", "age"] = "auto"
    tune: Literal["auto", "off"] = "auto"
    probe_timeout_s: float = Field(default=60.0, ge=0, le=86400)
