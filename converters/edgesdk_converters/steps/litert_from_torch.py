"""Torch → LiteRT (`.tflite`): fp32, or weights stored as fp16, and optionally with normalisation inside.

Rule: inputs and outputs stay float and keep their order: the signature `serving_default` has `args_0`, `args_1`, … in the
order of `forward`, and `output_0`, `output_1`, … in the order it returns (checked here). 64-bit whole numbers become
32-bit ones: no LiteRT device has them. Recurrent layers are unrolled. Folded, the first input takes pixels as they come.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from edgesdk_converters.framework_edge import failed_op, framework_edge, needs
from edgesdk_converters.step_progress import report
from edgesdk_converters.steps.live_module import in_eval_mode, outputs_of, tensors_of
from edgesdk_targets.errors import StepFailed

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram

    from edgesdk_converters.steps.live_module import Example, Source
    from edgesdk_converters.steps.openvino_from_onnx import Fold

SIGNATURE = "serving_default"
_HINT = "Use ONNX Runtime or OpenVINO for this model, or rewrite that part of it in its factory."


def litert_from_torch(
    module: Source, example: Example, *, precision: Literal["fp32", "fp16"], fold: Fold | None = None
) -> bytes:
    """Convert a torch model to a LiteRT flatbuffer.

    Args:
        module: a live module, which is left as it was, or an ExportedProgram (`.pt2`).
        example: one tensor or array for each input; its shape and dtype become the model's.
        precision: `fp16` stores weights as float16 (half the size); computation and borders stay float32.
        fold: normalisation to build into the first input, which then is uint8 NHWC; the example stays the model's own.

    Raises:
        InputError: the model does not run on the example, or `fold` does not fit its first input.
        StepFailed: litert-torch has no lowering for an op, or the model's control flow depends on data.
        MissingExtra: torch, litert-torch or ai-edge-quantizer is not installed.
    """
    with framework_edge("litert_from_torch", hint=_HINT):
        with needs("torch", extra="torch"):
            import torch
        with needs("litert-torch", extra="torch"):
            import litert_torch

        from edgesdk_converters.steps.litert_rewrites import avoid_traps

        report("litert_from_torch: tracing")
        tensors = tensors_of(example)
        with in_eval_mode(module) as whole:
            outputs = outputs_of(whole, tensors)
            if fold is not None:
                from edgesdk_converters.steps.pixel_input import PixelInput, pixel_example

                tensors = pixel_example(tensors, fold)
            traced = whole if fold is None else PixelInput(whole, fold)
            program = _own_copy(avoid_traps(torch.export.export(traced, tensors, strict=False)))
        report("litert_from_torch: lowering")
        try:
            runnable = program.module()
            runnable.training = False  # burnt in, and yet litert-torch would warn; `.eval()` is refused
            content: bytes = litert_torch.convert(runnable, tensors, strict_export=False).model_content()
        except Exception as error:  # litert-torch raises RuntimeError, jax's errors and others
            raise _where(module, program, error) from error
        report("litert_from_torch: checking")
        _check_signature(content, tensors, outputs)
        return _halved(content) if precision == "fp16" else content


def _own_copy(program: ExportedProgram) -> ExportedProgram:
    """Give every constant memory of its own, in the plain order.

    litert-torch knows constants by their address: of two that are not contiguous it copies each in turn to the same
    place and writes the first one twice, silently. It also clamps infinities in the caller's own tensors.
    """
    import torch

    for table in (program.state_dict, program.constants):
        for name, value in table.items():
            if isinstance(value, torch.nn.Parameter):
                table[name] = torch.nn.Parameter(_plain(value), requires_grad=False)
            elif isinstance(value, torch.Tensor):
                table[name] = _plain(value)
    return program


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    import torch

    return tensor.detach().clone(memory_format=torch.contiguous_format)


def _where(source: Source, program: ExportedProgram, error: Exception) -> Exception:
    """Add to a failed lowering where in the model the op stands; any other error is given back as it is."""
    op = failed_op(error)
    if op is None or not op.startswith("aten."):
        return error
    return StepFailed(
        f"litert_from_torch: LiteRT has no counterpart for {op}{_place(source, program, op)}.", hint=_HINT
    )


def _place(source: Source, program: ExportedProgram, op: str) -> str:
    """Return the first place of an op: the ONNX node it came from, else the path of the submodule."""
    import torch

    from edgesdk_converters.steps.pixel_input import INNER
    from edgesdk_converters.steps.static_graph import NodeStep

    found = next((n for n in program.graph.nodes if n.op == "call_function" and str(n.target) == op), None)
    stack = found.meta.get("nn_module_stack", {}) if found is not None else {}
    paths = [path.removeprefix(f"{INNER}.") for path, _ in stack.values() if path not in ("", INNER)]
    if not paths:
        return ""
    part = source.get_submodule(paths[-1]) if isinstance(source, torch.nn.Module) else None
    return (
        f", from the ONNX node {part.node.op} {part.node.name!r}"
        if isinstance(part, NodeStep)
        else f", in {paths[-1]!r}"
    )


def _check_signature(content: bytes, inputs: Sequence[torch.Tensor], outputs: Sequence[torch.Tensor]) -> None:
    """Refuse an artifact whose borders are not the model's, in its order."""
    with needs("ai-edge-litert", extra="litert"):
        from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=1)
    runner = interpreter.get_signature_runner(SIGNATURE)
    borders: tuple[tuple[str, str, Sequence[torch.Tensor], dict[str, Any]], ...] = (
        ("input", "args", inputs, runner.get_input_details()),
        ("output", "output", outputs, runner.get_output_details()),
    )
    for what, prefix, tensors, details in borders:
        wanted = {f"{prefix}_{number}": tuple(tensor.shape) for number, tensor in enumerate(tensors)}
        found = {name: tuple(int(length) for length in detail["shape"]) for name, detail in details.items()}
        if wanted != found:
            raise StepFailed(
                f"litert_from_torch: the {what}s became {found}; the model has {wanted}.",
                hint=f"Every {what} must be used and be a tensor of its own.",
            )


def _halved(content: bytes) -> bytes:
    """Store the weights as float16, each with a cast back to float32 before its use."""
    with needs("ai-edge-quantizer", extra="torch"):
        from ai_edge_quantizer import algorithm_manager, qtyping, quantizer

    half = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
    recipe = qtyping.OpQuantizationConfig(
        weight_tensor_config=half, compute_precision=qtyping.ComputePrecision.FLOAT, explicit_dequantize=True
    )
    work = quantizer.Quantizer(bytearray(content))
    work.update_quantization_recipe(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        op_config=recipe,
        algorithm_key=algorithm_manager.AlgorithmName.FLOAT_CASTING,
    )
    return bytes(work.quantize().quantized_model)
