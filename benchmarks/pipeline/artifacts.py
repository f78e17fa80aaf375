"""The model that everything runs, in all the forms that are asked for: made once, in a cache folder.

FastestDet in INT8 for three runtimes, converted by edgesdk, without a gate: speed is measured here, and accuracy elsewhere.
All programs run the same quantised layers. Ours and the one-thread programs take the bundle's own files (pixels in,
normalisation folded); the naive ones and the peers take OpenVINO's file with the folded part cut off, as their own code
normalises.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesdk_converters.convert import convert
from edgesdk_targets.bundle.bundle import open_bundle

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ("x86-cpu", "generic-onnx", "rpi5")
_SIDE = 352
# Raised by hand when what is made here changes.
_FORM = b"1"


@dataclass(frozen=True, slots=True)
class Artifacts:
    """Files of the cache.

    Attributes:
        folder: `TARGET/model.xml`, `.onnx`, `.tflite`, and `float_input.xml` for those who normalise themselves.
        bundle: all three variants.
        variants: target → the variant's id.
    """

    folder: Path
    bundle: Path
    variants: dict[str, str]
    video: Path


def assets_folder() -> Path:
    """Return where the real weights and films are.

    Raises:
        SystemExit: there are none.
    """
    folder = Path(os.environ.get("EDGESDK_ASSETS") or ROOT.parent / "shared/assets")
    if not (folder / "SHA256SUMS").is_file():
        raise SystemExit(f"no real weights and films in {folder}; EDGESDK_ASSETS names another folder")
    return folder


def made_artifacts(cache: Path) -> Artifacts:
    """Return the model's files, converted now unless the same code made them already."""
    assets = assets_folder()
    folder = cache / f"model-{_key()}"
    bundle = folder / "fastestdet.edgebundle"
    if not (folder / "float_input.xml").is_file():
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _make(assets, partial, cache)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    with open_bundle(bundle) as opened:
        variants = {variant.target: variant.id for variant in opened.manifest.variants}
    return Artifacts(folder, bundle, variants, assets / "video/bottle-detection.mp4")


def _make(assets: Path, folder: Path, cache: Path) -> None:
    for path in (ROOT / "tests/real/models", ROOT / "benchmarks"):
        if str(path) not in sys.path:
            sys.path.insert(0, str(path))
    from real_models import card_for  # type: ignore[import-not-found,unused-ignore]
    from table.asset_pictures import write_calibration

    calibration = write_calibration(assets, cache / "calibration")
    bundle = folder / "fastestdet.edgebundle"
    print("converts FastestDet for three runtimes, a few minutes, once", file=sys.stderr)
    convert(
        card_for("fastestdet", assets, folder / "card"),
        list(TARGETS),
        output=bundle,
        precision=["int8"],
        calib_data=calibration,
    )
    with open_bundle(bundle) as opened:
        for variant in opened.manifest.variants:
            for name in variant.files.values():
                place = folder / variant.target / f"model{Path(name).suffix}"
                place.parent.mkdir(exist_ok=True)
                place.write_bytes(opened.read(name))
    _cut_off_normalisation(folder / "x86-cpu/model.xml", folder / "float_input.xml")


def _cut_off_normalisation(model: Path, out: Path) -> None:
    """Write the same layers behind an input (1, 3, H, W) float32 of 0…1."""
    import openvino

    graph: Any = openvino.Core().read_model(model)
    old = graph.get_parameters()[0]
    node = old
    # The folded part is a chain with one user each: a conversion, the arithmetic, and the change to channels first.
    while list(node.output(0).get_partial_shape().to_shape()) != [1, 3, _SIDE, _SIDE]:
        (user,) = node.output(0).get_target_inputs()
        node = user.get_node()
    while node.get_type_name() in {
        "Convert",
        "Subtract",
        "Multiply",
        "Divide",
        "Transpose",
    } and _only_user_is_arithmetic(node):
        (user,) = node.output(0).get_target_inputs()
        node = user.get_node()
    image = openvino.opset13.parameter([1, 3, _SIDE, _SIDE], openvino.Type.f32, "image")
    image.output(0).get_tensor().set_names({"image"})
    for user in node.output(0).get_target_inputs():
        user.replace_source_output(image.output(0))
    graph.add_parameters([image])
    graph.remove_parameter(old)
    openvino.save_model(graph, out, compress_to_fp16=False)


def _only_user_is_arithmetic(node: Any) -> bool:
    users = list(node.output(0).get_target_inputs())
    return len(users) == 1 and users[0].get_node().get_type_name() in {"Subtract", "Multiply", "Divide"}


def _key() -> str:
    """Name what the files are made of; a newer converter does not make them again, as speed is all that is asked of them."""
    digest = hashlib.sha256(_FORM)
    for path in sorted((ROOT / "tests/real/models").rglob("fastestdet.*")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
