"""Build a TensorRT engine from an ONNX model and its recipe, in a process of its own.

`python -m edgesdk_targets.runtimes.tensorrt_build MODEL RECIPE OUTPUT --workspace-mb N` is what a device starts: a
build takes minutes and much memory, and when it dies the agent must not. Precision is never chosen here: it is written
in the ONNX (fp16, or symmetric QDQ), and the network is strongly typed.

Exit status: 0 built; 3 the model or the recipe is refused, another try would end alike; 4 this try failed.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import signal
import sys
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgesdk_targets.errors import BadBundle, EdgeError, MissingExtra, SessionFailed
from edgesdk_targets.session import failed
from edgesdk_targets.target import VERSION_PATTERN

REFUSED, FAILED = 3, 4
_PR_SET_PDEATHSIG = 1
# The first to be killed when the device runs out of memory.
_OOM_SCORE = 1000


class Recipe(BaseModel):
    """How an engine is built from a variant's ONNX; role `recipe` in the bundle, JSON.

    Attributes:
        min_tensorrt: the oldest TensorRT that takes this ONNX; not asked of `tensorrt_rtx`, which counts otherwise.
        workspace_mb: scratch memory of the first try; each further one has a quarter.
        library: NVIDIA's Python package that builds.
        optimization_level: 0 (quick) to 5 (slow, fastest engine); None for the library's own choice.
        compute_capability: the GPU that is built for, where the library builds without one (`tensorrt_rtx`).
    """

    model_config = ConfigDict(frozen=True)

    schema_id: Literal["tensorrt-recipe/1"] = Field(default="tensorrt-recipe/1", alias="schema")
    min_tensorrt: str | None = Field(default=None, pattern=VERSION_PATTERN)
    workspace_mb: int = Field(default=1024, ge=1)
    library: Literal["tensorrt", "tensorrt_rtx"] = "tensorrt"
    optimization_level: int | None = Field(default=None, ge=0, le=5)
    compute_capability: str | None = Field(default=None, pattern=r"^[0-9]{1,2}\.[0-9]$")

    @property
    def workspaces_mb(self) -> tuple[int, ...]:
        """The scratch memory of each try."""
        return tuple(dict.fromkeys(max(1, self.workspace_mb // part) for part in (1, 4, 16)))

    @classmethod
    def from_bytes(cls, data: bytes | None) -> Recipe:
        """Read a recipe; none means all defaults.

        Raises:
            BadBundle: not JSON, or a field is wrong.
        """
        try:
            return cls() if data is None else cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "recipe"
            raise BadBundle(
                f"The build recipe is wrong: {where}: {first['msg']}.", hint="Convert the model again."
            ) from error


class BuildFailed(SessionFailed):
    """This try failed; one with less scratch memory may not."""

    code = "build_failed"


def import_library(name: str) -> Any:
    """Import `tensorrt` or its sibling.

    Raises:
        MissingExtra: it is not installed.
        SessionFailed: it is, but a library that it needs is not.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtra(name, name.replace("_", "-")) from error
    except (ImportError, OSError) as error:
        raise failed("TensorRT", f"be loaded from {name}", error) from error


def check_version(version: str, recipe: Recipe) -> None:
    """Raise SessionFailed where this TensorRT is older than the recipe asks for."""
    wanted = recipe.min_tensorrt
    if wanted is not None and recipe.library == "tensorrt" and _numbers(version) < _numbers(wanted):
        raise SessionFailed(
            f"TensorRT {version} is too old for this variant, which needs {wanted}.",
            hint="Update the device (JetPack 6 brings TensorRT 10.3), or choose another variant (`--variant`).",
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdigit())


def build_engine(model: bytes, recipe: Recipe, workspace_mb: int) -> bytes:
    """Parse the ONNX and build an engine for this machine's GPU.

    Raises:
        MissingExtra: the library is not installed.
        SessionFailed: the library is too old, or its parser refuses the model.
        BuildFailed: the builder gave up.
    """
    trt = import_library(recipe.library)
    check_version(trt.__version__, recipe)
    logger, messages = _collecting_logger(trt)
    builder = trt.Builder(logger)
    # The network must outlive its parser: kept in a local name until the engine is there.
    network = builder.create_network(_network_flags(trt, recipe.library))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model) or network.num_inputs == 0:
        errors = [str(parser.get_error(i)) for i in range(parser.num_errors)] or ["it holds no graph"]
        raise SessionFailed(
            f"TensorRT does not take this model: {errors[0][:300]}",
            hint="Choose another variant; the converter's TensorRT check tells which operators it takes.",
        )
    config = _builder_config(trt, builder, recipe, workspace_mb)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        why = messages[-1][:300] if messages else "no reason was given"
        raise BuildFailed(f"TensorRT could not build the engine: {why}", hint="Free memory on the device.")
    return bytes(engine)


def _builder_config(trt: Any, builder: Any, recipe: Recipe, workspace_mb: int) -> Any:
    config = builder.create_builder_config()
    if hasattr(trt.BuilderFlag, "TF32"):
        # On by default: it would compute fp32 with ten bits of mantissa.
        config.clear_flag(trt.BuilderFlag.TF32)
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace_mb << 20)
    if recipe.optimization_level is not None:
        config.builder_optimization_level = recipe.optimization_level
    if recipe.compute_capability is not None and hasattr(config, "set_compute_capability"):
        wanted = "SM" + recipe.compute_capability.replace(".", "")
        if wanted not in trt.ComputeCapability.__members__:
            raise SessionFailed(
                f"{recipe.library} builds for no GPU of compute capability {recipe.compute_capability}.",
                hint="One of: " + ", ".join(trt.ComputeCapability.__members__),
            )
        config.num_compute_capabilities = 1
        config.set_compute_capability(trt.ComputeCapability.__members__[wanted], 0)
    return config


def _network_flags(trt: Any, library: str) -> int:
    """TensorRT 10 has to be told to keep the types of the ONNX; 11 and TensorRT-RTX always do."""
    if library == "tensorrt" and int(trt.__version__.split(".")[0]) < 11:
        return 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    return 0


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


def _die_with_parent() -> None:
    """Be killed when the agent goes, and before it when memory runs out."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE), "ascii")


def main(arguments: list[str] | None = None) -> int:
    """Build one engine from files; see the module's docstring for the exit status."""
    parser = argparse.ArgumentParser(prog="tensorrt_build", description="Build a TensorRT engine.")
    parser.add_argument("model", type=Path)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--workspace-mb", type=int, required=True)
    options = parser.parse_args(arguments)
    try:
        recipe = Recipe.from_bytes(options.recipe.read_bytes())
        engine = build_engine(options.model.read_bytes(), recipe, options.workspace_mb)
    except BuildFailed as error:
        sys.stderr.write(error.message + "\n")
        return FAILED
    except EdgeError as error:
        sys.stderr.write(error.message + "\n")
        return REFUSED
    options.output.write_bytes(engine)
    return 0


if __name__ == "__main__":
    _die_with_parent()
    sys.exit(main())
