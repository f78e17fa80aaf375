"""A loaded variant, whatever runtime runs it.

`run` is the convenient form. `bind` is the fast one: it hands out input arrays that are the runtime's own memory, so
that preprocessing writes where inference reads, and nothing of frame size is allocated or copied afterwards; where a
runtime's memory for each input would cost more than a copy does (LiteRT), they are copied from.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from edgesdk_targets.bundle.bundle import Bundle
from edgesdk_targets.bundle.manifest import Variant
from edgesdk_targets.errors import InputError, SessionFailed
from edgesdk_targets.target import Runtime
from edgesdk_targets.tensor import Array, TensorSpec


class Binding(Protocol):
    """One set of preallocated inputs and outputs of a session.

    Attributes:
        inputs: logical name → writable C-contiguous array, which is the runtime's memory or copied into it.
    """

    inputs: Mapping[str, Array]

    def run(self) -> Mapping[str, Array]:
        """Run on what `inputs` hold; the arrays returned are valid until this binding runs again."""
        ...


class StartedBinding(Binding, Protocol):
    """A binding of a session that `starts_ahead`."""

    def start(self) -> None:
        """Begin to run on what `inputs` hold, and return at once; `run` then waits for the end of it."""
        ...

    @property
    def ran_s(self) -> float:
        """How long the last run took from its start, seconds; what it waited for other runs is in it."""
        ...


class Session(Protocol):
    """A loaded variant. Up to `streams` bindings run at the same time, each from a thread of its own.

    A binding that does not run may be written into meanwhile. `run` itself is for one thread at a time. A session may have
    `starts_ahead = True`: its bindings are then `StartedBinding`s, of which one thread may have several under way.

    Attributes:
        inputs, outputs: by the manifest's names; shapes and dtypes as this variant takes and gives them.
        streams: how many bindings may run at the same time; one more waits for one of them, and is as right.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    streams: int

    def run(self, feeds: Mapping[str, Array]) -> Mapping[str, Array]:
        """Run once; outputs are valid until the next run. Raises InputError on feeds that do not fit."""
        ...

    def bind(self, slots: int = 1) -> tuple[Binding, ...]:
        """Allocate `slots` sets of inputs and outputs, to be filled and run independently; as many as one likes."""
        ...

    def close(self) -> None:
        """Give the runtime's memory back; bindings are dead afterwards."""
        ...


Spin = Literal["always", "within", "never"]


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How a session uses the device.

    Attributes:
        threads: for one inference; 0 lets the runtime choose.
        streams: inferences that are to run at the same time; a session tells how many it really lets.
        pin: hold the threads to cores, where the runtime can (OpenVINO): right only for a process that has the machine to
            itself, as two that pin land on the same core.
        spin: whether the runtime's own threads wait for work without going to sleep, where it can be told (ONNX Runtime with
            two threads or more): `always` answers quickest and takes a core between pictures too; `within` only
            while an inference runs; `never` costs least where frames come at their time.
        cache_dir: where what is built on the device is kept (TensorRT's engines); None for the user's cache folder.
        keep_compiled: keep what OpenVINO compiles there too, and open that the next time; right for what starts often and
            alike, as an agent, and wrong for what judges a model.
        on_import: called when the runtime's library is imported, perhaps more than once: what follows needs little of Python.
        on_build: called with True when an engine begins to be built, which takes minutes, and with False when that ended.
    """

    threads: int = 0
    streams: int = 1
    pin: bool = False
    spin: Spin = "within"
    cache_dir: Path | None = None
    keep_compiled: bool = False
    on_import: Callable[[], None] | None = field(default=None, compare=False)
    on_build: Callable[[bool], None] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.threads < 0 or self.streams < 1:
            raise InputError(
                f"threads must be at least 0 and streams at least 1, not {self.threads} and {self.streams}.",
                hint="Leave them out: the runtime then chooses its threads, and there is one stream.",
            )

    @property
    def threads_each(self) -> int:
        """The threads of one inference: what was asked for, else an equal share of the cores; 0 for the runtime's own."""
        if self.threads or self.streams == 1:
            return self.threads
        return max(1, len(os.sched_getaffinity(0)) // self.streams)

    def imported(self) -> None:
        """Tell `on_import`."""
        if self.on_import is not None:
            self.on_import()

    @contextmanager
    def building(self) -> Iterator[None]:
        """Tell `on_build` of the body."""
        tell = self.on_build or (lambda _begins: None)
        tell(True)
        try:
            yield
        finally:
            tell(False)


@dataclass(frozen=True, slots=True)
class Load:
    """What a runtime needs to load a variant.

    Attributes:
        files: role → content.
        inputs, outputs: by logical name, in the order of `variant.inputs` and `variant.outputs`.
    """

    files: Mapping[str, bytes]
    variant: Variant
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    options: SessionOptions


@dataclass(frozen=True, slots=True)
class RuntimeEntry:
    """How to reach a runtime without importing it.

    Attributes:
        module: has `open_session(load: Load) -> Session`.
        packages: any one of these makes it available.
        extra: the extra of edgesdk that brings it.
        also: other packages on which it depends what it does.
    """

    module: str
    packages: tuple[str, ...]
    extra: str
    also: tuple[str, ...] = ()


RUNTIMES: dict[Runtime, RuntimeEntry] = {
    Runtime.ONNXRUNTIME: RuntimeEntry("edgesdk_targets.runtimes.onnxruntime", ("onnxruntime",), "onnx", ("tensorrt",)),
    Runtime.OPENVINO: RuntimeEntry("edgesdk_targets.runtimes.openvino", ("openvino",), "openvino"),
    Runtime.LITERT: RuntimeEntry("edgesdk_targets.runtimes.litert", ("ai_edge_litert", "tflite_runtime"), "litert"),
    Runtime.TENSORRT: RuntimeEntry("edgesdk_targets.runtimes.tensorrt", ("tensorrt",), "tensorrt", ("tensorrt_rtx",)),
}


def is_installed(runtime: Runtime) -> bool:
    """Tell whether a runtime's package is there, without importing it."""
    return any(importlib.util.find_spec(package) is not None for package in RUNTIMES[runtime].packages)


def open_session(
    bundle: Bundle, variant: Variant, *, runtime: Runtime | None = None, options: SessionOptions | None = None
) -> Session:
    """Load a variant.

    Args:
        runtime: another runtime than the variant's own that reads the same file (ONNX Runtime for a TensorRT variant).

    Raises:
        MissingExtra: the runtime is not installed.
        SessionFailed: the runtime does not load this file.
        BadHash: a file was altered since the bundle was opened.
    """
    manifest = bundle.manifest
    return open_files(
        bundle.variant_files(variant), variant, manifest.inputs, manifest.outputs, runtime=runtime, options=options
    )


def open_files(
    files: Mapping[str, bytes],
    variant: Variant,
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
    *,
    runtime: Runtime | None = None,
    options: SessionOptions | None = None,
) -> Session:
    """Load a variant from its files' content by role, before or without a bundle; see `open_session`."""
    load = Load(
        files=files,
        variant=variant,
        inputs=by_logical_name(inputs, variant.inputs),
        outputs=by_logical_name(outputs, variant.outputs),
        options=options or SessionOptions(),
    )
    return open_load(RUNTIMES[runtime or variant.runtime].module, load)


def open_load(module: str, load: Load) -> Session:
    """Load a variant by a runtime's module; see `RuntimeEntry`."""
    if load.variant.together is not None:
        # Imported where it is needed: few bundles hold several models.
        from edgesdk_targets.together.session import open_together

        return open_together(module, load, load.variant.together)
    if load.variant.batch is not None:
        from edgesdk_targets.batch import open_batch

        return open_batch(module, load)
    session: Session = importlib.import_module(module).open_session(load)
    return session


def passed_over(session: Session) -> tuple[tuple[str, str], ...]:
    """Return (part of the runtime, reason) of the faster ways that a session's runtime has and could not take here."""
    found: tuple[tuple[str, str], ...] = getattr(session, "passed_over", ())
    return found


def is_accelerated(session: Session) -> bool:
    """Say whether a session computes elsewhere than on the processor, whose time then says nothing of it."""
    return bool(getattr(session, "accelerated", False))


def batch_of(session: Session) -> int:
    """Return how many pictures one inference of a session takes."""
    return int(getattr(session, "batch", 1))


def computes_on_caller(session: Session) -> bool:
    """Say whether the thread that runs a binding does all of the work itself: so many compute at a time as call."""
    return bool(getattr(session, "on_caller", False))


def starts_ahead(session: Session) -> bool:
    """Say whether a binding can be started without waiting for it: the runtime has threads of its own, and a queue before them."""
    return bool(getattr(session, "starts_ahead", False))


def failed(runtime: str, doing: str, error: BaseException) -> SessionFailed:
    """Translate a runtime's own exception, keeping its first telling line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    why = lines[0][:300] if lines else type(error).__name__
    return SessionFailed(
        f"{runtime} could not {doing}: {why}",
        hint="Choose another variant (`--variant`), or convert the model for this runtime's version.",
    )


def by_logical_name(logical: tuple[TensorSpec, ...], own: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    return tuple(o.model_copy(update={"name": spec.name}) for spec, o in zip(logical, own, strict=True))
