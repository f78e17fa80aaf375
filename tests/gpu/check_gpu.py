"""Build, run and check everything that an NVIDIA GPU makes possible on this machine, and print a table.

    python tests/gpu/check_gpu.py [--json]

Each row is one library with one model in one precision: the engine is built (TensorRT, TensorRT-RTX) or the model loaded
(ONNX Runtime's CUDA and TensorRT providers), tried in a child first, then run here and compared with numpy's own answer;
a second start must find what was built. With edgesdk's converters installed the sample classifier goes all the way from
its card to the GPU. A library that is not installed is a row that says so, and no failure.

Exit status: 0 all that is possible is right; 1 something is not; 77 there is no NVIDIA GPU here, nothing was tried.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / name) for name in ("sdk", "targets", "converters", "device_agent", "tests/support")]

import numpy as np  # noqa: E402

from edgesdk_targets.errors import EdgeError  # noqa: E402
from edgesdk_targets.nvidia_driver import nvidia_driver  # noqa: E402
from edgesdk_targets.probe import probe, trial_of_files  # noqa: E402
from edgesdk_targets.runtimes.cuda_memory import Cuda, GpuFacts  # noqa: E402
from edgesdk_targets.runtimes.onnxruntime_providers import CUDA, TENSORRT  # noqa: E402
from edgesdk_targets.runtimes.tensorrt_recipe import Recipe  # noqa: E402
from edgesdk_targets.session import SessionOptions, open_files, passed_over  # noqa: E402
from edgesdk_targets.target import Precision, Runtime  # noqa: E402
from edgesdk_targets.tensor import Array, TensorSpec  # noqa: E402
from edgesdk_testkit.onnx_writer import Node, onnx_model  # noqa: E402
from edgesdk_testkit.tiny_bundles import tiny_variant  # noqa: E402
from edgesdk_testkit.tiny_models import CNN, PIXELS, STREAM, WIDE  # noqa: E402

NO_GPU = 77
RUNS = 200


@dataclass(frozen=True)
class Case:
    """A model as one file, with inputs and the answer that is right.

    Attributes:
        atol: how far an answer may be off.
    """

    name: str
    precision: Precision
    model: bytes
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    feeds: dict[str, Array]
    expected: dict[str, Array]
    atol: float


@dataclass(frozen=True)
class Row:
    """What one check found."""

    what: str
    model: str
    state: str  # ok, FAILED, not installed, not on GPU
    detail: str = ""
    first_s: float | None = None
    again_s: float | None = None
    run_ms: float | None = None


def tiny_cases() -> Iterator[Case]:
    """Yield the tiny models in float, one in half precision, and one in 8 bits with symmetric pairs."""
    for tiny in (CNN, PIXELS, STREAM, WIDE):
        file, feeds = tiny.file(Runtime.ONNXRUNTIME), tiny.feeds(1)
        model = file.files["model"]
        yield Case(tiny.name, Precision.FP32, model, tiny.inputs, tiny.outputs, feeds, tiny.reference(feeds), 2e-3)
    x, y = TensorSpec(name="x", shape=(1, 8, 16, 16)), TensorSpec(name="y", shape=(1, 8, 16, 16))
    values = np.random.default_rng(2).uniform(-3, 3, x.shape).astype(np.float32)
    half = onnx_model(
        [Node("Cast", ["x"], ["h"], {"to": 10}), Node("Tanh", ["h"], ["t"]), Node("Cast", ["t"], ["y"], {"to": 1})],
        (x,),
        (y,),
        {},
    )
    yield Case("tanh", Precision.FP16, half, (x,), (y,), {"x": values}, {"y": np.tanh(values)}, 4e-3)
    yield eight_bits(x, y, values)


def eight_bits(x: TensorSpec, y: TensorSpec, values: Array) -> Case:
    """Return a 1x1 convolution of which input and weights are quantised, int8 with zero points 0."""
    scale, weight_scale = np.float32(3 / 127), np.float32(1 / 127)
    weights = np.random.default_rng(3).uniform(-1, 1, (8, 8, 1, 1)).astype(np.float32)
    zero = np.zeros((), np.int8)
    nodes = [
        Node("QuantizeLinear", ["x", "scale", "zero"], ["xq"]),
        Node("DequantizeLinear", ["xq", "scale", "zero"], ["xd"]),
        Node("QuantizeLinear", ["w", "weight_scale", "zero"], ["wq"]),
        Node("DequantizeLinear", ["wq", "weight_scale", "zero"], ["wd"]),
        Node("Conv", ["xd", "wd"], ["y"], {"kernel_shape": [1, 1]}),
    ]
    tensors = {"scale": np.array(scale), "weight_scale": np.array(weight_scale), "zero": zero, "w": weights}
    model = onnx_model(nodes, (x,), (y,), tensors)
    coarse = np.clip(np.round(values / scale), -128, 127) * scale
    exact = np.clip(np.round(weights / weight_scale), -128, 127) * weight_scale
    expected = np.einsum("oi,bihw->bohw", exact[:, :, 0, 0], coarse).astype(np.float32)
    return Case("conv-qdq", Precision.INT8, model, (x,), (y,), {"x": values}, {"y": expected}, 1e-2)


def check(what: str, case: Case, runtime: Runtime, recipe: Recipe | None, cache: Path, wants: str = "") -> Row:
    """Try, load, run and compare one model; load it once more from what was kept.

    Args:
        wants: the provider of ONNX Runtime that must really run it.
    """
    kind = Runtime.TENSORRT if runtime is Runtime.TENSORRT or wants == TENSORRT else Runtime.ONNXRUNTIME
    variant, _ = tiny_variant(CNN, "x86-gpu-nvidia", kind)
    variant = variant.model_copy(update={"inputs": case.inputs, "outputs": case.outputs, "precision": case.precision})
    files = {"model": case.model} | ({"recipe": recipe.to_bytes()} if recipe is not None else {})
    options = SessionOptions(cache_dir=cache)
    started = time.perf_counter()
    trial = trial_of_files(files, variant, runtime, case.inputs, case.outputs, zeros=("before",))
    tried = probe(trial, options=options)
    first = time.perf_counter() - started
    if not tried.fine:
        return Row(what, case.name, "FAILED", f"{tried.outcome}: {tried.reason}")
    started = time.perf_counter()
    session = open_files(files, variant, case.inputs, case.outputs, runtime=runtime, options=options)
    again = time.perf_counter() - started
    try:
        missing = [f"{part}: {why}" for part, why in passed_over(session) if part == wants]
        if missing:
            return Row(what, case.name, "FAILED", missing[0])
        return replace(_compared(what, case, session), first_s=first, again_s=again)
    finally:
        session.close()


def _compared(what: str, case: Case, session: object) -> Row:
    (binding,) = session.bind()  # type: ignore[attr-defined]
    for name, array in case.feeds.items():
        binding.inputs[name][...] = array
    worst = 0.0
    for name, array in binding.run().items():
        worst = max(worst, float(np.abs(array - case.expected[name]).max()))
    started = time.perf_counter()
    for _ in range(RUNS):
        binding.run()
    milliseconds = 1000 * (time.perf_counter() - started) / RUNS
    state = "ok" if worst <= case.atol else "FAILED"
    return Row(what, case.name, state, f"off by {worst:.2g} (at most {case.atol:g})", run_ms=milliseconds)


def all_checks(gpu: GpuFacts, cache: Path) -> Iterator[Row]:
    """Check every library with every model."""
    for what, package, recipe, note in (
        ("TensorRT", "tensorrt", Recipe(workspace_mb=256), ""),
        ("TensorRT-RTX", "tensorrt_rtx", Recipe(libraries=("tensorrt_rtx",)), ""),
    ):
        if importlib.util.find_spec(package) is None:
            yield Row(what, "", "not installed", note)
            continue
        for case in tiny_cases():
            told = recipe.model_copy(update={"precision": case.precision})
            yield _guarded(what, case.name, lambda c=case, t=told, w=what: check(w, c, Runtime.TENSORRT, t, cache))
    listed = _providers()
    for provider in (TENSORRT, CUDA):
        what = f"ONNX Runtime, {provider.removesuffix('ExecutionProvider')}"
        if provider not in listed:
            yield Row(what, "", "not installed", "pip install onnxruntime-gpu")
            continue
        for case in tiny_cases():
            yield _guarded(
                what, case.name, lambda c=case, p=provider, w=what: check(w, c, Runtime.ONNXRUNTIME, None, cache, p)
            )
    yield from whole_way(gpu, cache)


def whole_way(gpu: GpuFacts, cache: Path) -> Iterator[Row]:
    """Convert the sample classifier for a PC with a GPU, load it as an application would, and compare with the CPU's."""
    if any(importlib.util.find_spec(name) is None for name in ("torch", "onnx", "onnxruntime", "cv2")):
        yield Row("card → GPU", "digits", "not installed", "pip install 'edgesdk[torch,onnx,agent]'")
        return
    for precision in ("fp32", "fp16"):
        yield _guarded("card → GPU", f"digits {precision}", lambda p=precision: _digits(p, gpu, cache))


def _digits(precision: str, gpu: GpuFacts, cache: Path) -> Row:
    from edgesdk_converters.convert import convert
    from edgesdk_targets.model import load_model

    options, card = SessionOptions(cache_dir=cache), ROOT / "examples/digits/classifier.yaml"
    pictures = np.random.default_rng(4).integers(0, 256, (50, 8, 8, 3), np.uint8)
    answers = []
    with tempfile.TemporaryDirectory() as folder:
        for target, wanted in (("generic-onnx", "fp32"), ("x86-gpu-nvidia", precision)):
            made = convert(card, target, output=Path(folder) / target, precision=wanted)
            with load_model(made.path, target=target, options=options, probe=True) as model:
                answers.append([model(picture).to_json() for picture in pictures])
                over = "; ".join(f"not {name}: {why}" for name, why in model.choice.rejected)
                on_gpu = model.runtime is Runtime.TENSORRT or f"{model.variant.id} by onnxruntime's {CUDA}" not in over
    pairs = list(zip(*answers, strict=True))
    same = sum(_best(cpu) == _best(gpu_) for cpu, gpu_ in pairs)
    if not on_gpu:
        # Something for the GPU is installed and was not taken: its own rows say whether that is a fault.
        return Row("card → GPU", f"digits {precision}", "not on GPU", over)
    state = "ok" if same >= 0.96 * len(pairs) else "FAILED"
    return Row("card → GPU", f"digits {precision}", state, f"{same} of {len(pairs)} as on the CPU; {gpu.name}. {over}")


def _best(answer: dict[str, object]) -> object:
    return json.dumps(answer, sort_keys=True).split(",")[0]


def _guarded(what: str, model: str, run: Callable[[], Row]) -> Row:
    try:
        return run()
    except EdgeError as error:
        return Row(what, model, "FAILED", error.message)
    except Exception as error:  # a check that breaks is a failure of that row, and the others are still wanted
        return Row(what, model, "FAILED", f"{type(error).__name__}: {error}")


def _providers() -> list[str]:
    if importlib.util.find_spec("onnxruntime") is None:
        return []
    import onnxruntime

    return list(onnxruntime.get_available_providers())


def print_table(rows: list[Row]) -> None:
    print(f"{'what':<26} {'model':<14} {'state':<14} {'first s':>8} {'again s':>8} {'run ms':>8}  detail")
    for row in rows:
        figures = [f"{n:>8.3f}" if n is not None else " " * 8 for n in (row.first_s, row.again_s, row.run_ms)]
        print(f"{row.what:<26} {row.model:<14} {row.state:<14} {' '.join(figures)}  {row.detail}")


def main(arguments: list[str] | None = None) -> int:
    """Check, print, and return the exit status."""
    parser = argparse.ArgumentParser(description="Build, run and check everything possible on this machine's GPU.")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    try:
        gpu = Cuda().gpu
    except EdgeError as error:
        where = f" The driver: {nvidia_driver()}." if nvidia_driver() else ""
        sys.stderr.write(f"No NVIDIA GPU can be used here, so nothing was tried: {error.message}{where}\n")
        return NO_GPU
    with tempfile.TemporaryDirectory(prefix="edgesdk-gpu-") as cache:
        rows = list(all_checks(gpu, Path(cache)))
    if options.json:
        print(json.dumps({"gpu": asdict(gpu), "rows": [asdict(row) for row in rows]}, indent=1))
    else:
        print(f"{gpu.name}, compute capability {gpu.compute_capability}, driver {gpu.driver}\n")
        print_table(rows)
    done = [row for row in rows if row.state in {"ok", "FAILED"}]
    if not done:
        sys.stderr.write("There is a GPU, but no library that runs on it is installed.\n")
    return int(not done or any(row.state == "FAILED" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
