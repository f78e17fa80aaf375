"""Build a TensorRT engine from an ONNX model and its recipe, in a process of its own.

`python -m edgesdk_targets.runtimes.tensorrt_build MODEL RECIPE OUTPUT --library L --workspace-mb N` is what a device
starts: a build takes minutes and much memory, and when it dies the agent must not.

Exit status: 0 built; 3 the model or the recipe is refused, another try would end alike; 4 this try failed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from edgesdk_targets.child_watch import behave_as_child
from edgesdk_targets.errors import EdgeError, SessionFailed
from edgesdk_targets.runtimes.tensorrt_recipe import Recipe
from edgesdk_targets.runtimes.tensorrt_versions import TensorRt, import_library

REFUSED, FAILED = 3, 4


class BuildFailed(SessionFailed):
    """This try failed; one with less scratch memory may not."""

    code = "build_failed"


def build_engine(
    trt: TensorRt,
    model: bytes,
    recipe: Recipe,
    workspace_mb: int,
    *,
    compute_capability: str | None = None,
    timing: bytes = b"",
) -> tuple[bytes, bytes]:
    """Parse the ONNX and build an engine.

    Args:
        compute_capability: the GPU that is built for; TensorRT itself builds for the one that is there.
        timing: what earlier builds on this machine measured.

    Returns:
        The engine, and what was measured by now.

    Raises:
        SessionFailed: the library is too old, or its parser refuses the model.
        BuildFailed: the builder gave up.
    """
    trt.check_version(recipe)
    logger, messages = _collecting_logger(trt.module)
    builder = trt.module.Builder(logger)
    # The network must outlive its parser: kept in a local name until the engine is there.
    network = builder.create_network(trt.network_flags())
    parser = trt.module.OnnxParser(network, logger)
    if not parser.parse(model) or network.num_inputs == 0:
        errors = [str(parser.get_error(i)) for i in range(parser.num_errors)] or ["it holds no graph"]
        raise SessionFailed(
            f"TensorRT does not take this model: {errors[0][:300]}",
            hint="Choose another variant; the converter's TensorRT check tells which operators it takes.",
        )
    config = trt.configure(builder, network, recipe, workspace_mb, compute_capability)
    trt.use_timing_cache(config, timing)
    engine = trt.build(builder, network, config)
    if engine is None:
        why = messages[-1][:300] if messages else "no reason was given"
        raise BuildFailed(f"TensorRT could not build the engine: {why}", hint="Free memory on the device.")
    return engine, trt.timing_cache(config)


def _collecting_logger(trt: Any) -> tuple[Any, list[str]]:
    """Return a logger, and the list in which it keeps the errors."""
    messages: list[str] = []

    class Collector(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity in {trt.Logger.ERROR, trt.Logger.INTERNAL_ERROR}:
                messages.append(message)

    return Collector(), messages


def main(arguments: list[str] | None = None) -> int:
    """Build one engine from files; see the module's docstring for the exit status."""
    parser = argparse.ArgumentParser(prog="tensorrt_build", description="Build a TensorRT engine.")
    parser.add_argument("model", type=Path)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--library", default="tensorrt")
    parser.add_argument("--workspace-mb", type=int, required=True)
    parser.add_argument("--compute-capability")
    parser.add_argument("--timing", type=Path, help="what the builder measured: read where it is there, then written")
    options = parser.parse_args(arguments)
    try:
        trt = TensorRt(options.library, import_library(options.library))
        engine, timing = build_engine(
            trt,
            options.model.read_bytes(),
            Recipe.from_bytes(options.recipe.read_bytes()),
            options.workspace_mb,
            compute_capability=options.compute_capability,
            timing=options.timing.read_bytes() if options.timing and options.timing.is_file() else b"",
        )
    except BuildFailed as error:
        sys.stderr.write(error.message + "\n")
        return FAILED
    except EdgeError as error:
        sys.stderr.write(error.message + "\n")
        return REFUSED
    options.output.write_bytes(engine)
    if options.timing:
        options.timing.write_bytes(timing)
    return 0


if __name__ == "__main__":
    behave_as_child()
    sys.exit(main())
