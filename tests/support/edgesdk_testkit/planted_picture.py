"""Pictures with two secrets in known places, and a search for them in anything that a device lets out.

A secret is a sheet of 12 x 12 black and white squares, 8 pixels wide, in an order that no scene has by chance. It is found in a
picture at any place and at several sizes, and so through JPEG and H.264; and in raw memory by the bytes of one of its rows.
"""

from __future__ import annotations

import base64
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import onnx

from edgesdk_targets.bundle.bundle import write_bundle
from edgesdk_targets.bundle.manifest import Manifest, Variant
from edgesdk_targets.decode.postprocess import Postprocess
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.target import Precision, Runtime
from edgesdk_targets.tensor import Array, TensorSpec
from edgesdk_testkit import head_models

# Five pixels of the picture are one of the model's input, so that what it finds is where it says.
_SCALE = 5
HEIGHT, WIDTH = head_models.HEIGHT * _SCALE, head_models.WIDTH * _SCALE
_CELL, _CELLS = 8, 12
_SHEET = _CELL * _CELLS
# Upper left corners: one sheet in a part of the view that is masked, the other within the person that the model finds.
MASKED_AT = (16, 216)
PERSON_AT = (300, 42)
MASK = [(0.0, 0.65), (0.27, 0.65), (0.27, 1.0), (0.0, 1.0)]
_SEEDS = {"masked": 11, "person": 12}
_FOUND = 0.6
_SIZES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)


def sheet(name: str) -> Array:
    """Return a secret, (96, 96) uint8."""
    cells = np.random.default_rng(_SEEDS[name]).integers(0, 2, (_CELLS, _CELLS), dtype=np.uint8) * 255
    return np.kron(cells, np.ones((_CELL, _CELL), np.uint8))


def write_pictures(folder: Path, count: int = 12) -> Path:
    """Write pictures of a hall with both secrets, as PNG files in a folder."""
    folder.mkdir()
    random = np.random.default_rng(4)
    for number in range(count):
        picture = random.integers(60, 90, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        # Something moves, so that an encoder has something to do.
        picture[150:200, 20 + 30 * number : 60 + 30 * number] = (40, 160, 200)
        for name, (x, y) in (("masked", MASKED_AT), ("person", PERSON_AT)):
            picture[y : y + _SHEET, x : x + _SHEET] = sheet(name)[..., None]
        cv2.imwrite(str(folder / f"{number:02}.png"), picture)
    return folder


def write_film(path: Path, pictures: Path, fps: int) -> Path:
    """Write the same pictures as a film that hardly loses anything."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), fps, (WIDTH, HEIGHT))
    for picture in sorted(pictures.iterdir()):
        writer.write(cv2.imread(str(picture)))
    writer.release()
    return path


def write_person_bundle(path: Path) -> Path:
    """Write a bundle whose model finds, in every picture, a person where the second secret is."""
    model = head_models.yolov8()
    graph = onnx.load_from_string(model.data).graph
    [found] = [tuple(d.dim_value for d in output.type.tensor_type.shape.dim) for output in graph.output]
    inputs = (
        TensorSpec(name="images", dtype="float32", shape=(1, 3, head_models.HEIGHT, head_models.WIDTH), layout="NCHW"),
    )
    outputs = (TensorSpec(name=graph.output[0].name, dtype="float32", shape=found),)
    member = "models/generic/model.onnx"
    variant = Variant(
        id="generic-onnx-fp32",
        target="generic-onnx",
        runtime=Runtime.ONNXRUNTIME,
        precision=Precision.FP32,
        files={"model": member},
        inputs=inputs,
        outputs=outputs,
    )
    manifest = Manifest(
        name="persons",
        version="1.0.0",
        task="detect",
        labels=head_models.NAMES,
        inputs=inputs,
        outputs=outputs,
        preprocess=Preprocess(color="bgr", size=(head_models.HEIGHT, head_models.WIDTH)),
        postprocess=Postprocess(head="yolov8"),
        variants=(variant,),
        files={member: {"sha256": "0" * 64, "size": 0}},  # type: ignore[dict-item]  # filled in when it is written
    )
    write_bundle(path, manifest, {member: model.data})
    return path


def secrets_shown(picture: Array) -> set[str]:
    """Return which secrets a picture shows, (H, W, 3) or (H, W) uint8."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) if picture.ndim == 3 else picture
    shown = set()
    for name in _SEEDS:
        for size in _SIZES:
            side = round(_SHEET * size)
            if min(grey.shape) < side:
                continue
            wanted = cv2.resize(sheet(name), (side, side), interpolation=cv2.INTER_AREA)
            if np.nan_to_num(cv2.matchTemplate(grey, wanted, cv2.TM_CCOEFF_NORMED)).max() > _FOUND:
                shown.add(name)
                break
    return shown


def secrets_in(content: bytes) -> set[str]:
    """Return which secrets are anywhere in some bytes: raw, deflated, zipped, as a picture, or as one in base64."""
    found: set[str] = set()
    for data in _unpacked(content):
        found |= {name for name in _SEEDS if _row(name) in data}
        for picture in _pictures(data):
            found |= secrets_shown(picture)
        for text in re.findall(rb"[A-Za-z0-9+/]{200,}", data):
            for picture in _pictures(base64.b64decode(text[: len(text) // 4 * 4])):
                found |= secrets_shown(picture)
    return found


def _row(name: str) -> bytes:
    """Return one row of a secret as it lies in memory, three bytes a pixel."""
    return np.repeat(sheet(name)[0], 3).tobytes()


def _unpacked(content: bytes) -> Iterator[bytes]:
    yield content
    with suppress(zlib.error):
        yield zlib.decompress(content)
    if zipfile.is_zipfile(BytesIO(content)):
        with zipfile.ZipFile(BytesIO(content)) as archive:
            for name in archive.namelist():
                yield archive.read(name)


def _pictures(data: bytes) -> Iterator[Array]:
    for magic in (b"\xff\xd8\xff", b"\x89PNG\r\n"):
        at = data.find(magic)
        while at >= 0:
            picture = cv2.imdecode(np.frombuffer(data, np.uint8, offset=at), cv2.IMREAD_COLOR)
            if picture is not None:
                yield picture
            at = data.find(magic, at + 1)
