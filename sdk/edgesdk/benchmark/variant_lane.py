"""A variant of a bundle as a lane: the device's own session, preprocessing and decoder."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping

import numpy as np

from edgesdk.benchmark.coverage.nodes import Coverage, ExecutedNode, summarise
from edgesdk.benchmark.lane import Opening
from edgesdk.benchmark.pictures import read_or_draw
from edgesdk_targets.batch import BatchBinding
from edgesdk_targets.bundle.manifest import Manifest, Variant
from edgesdk_targets.decode.decoder import Decoder
from edgesdk_targets.preprocess.apply import Preprocessor
from edgesdk_targets.preprocess.geometry import Geometry
from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.session import Binding, Session, SessionOptions, open_files
from edgesdk_targets.target import Runtime
from edgesdk_targets.tensor import Array, TensorSpec
from edgesdk_targets.together.own_picture import own_pictures
from edgesdk_targets.together.session import TogetherBinding
from edgesdk_targets.together.spec import files_of

_COVERAGE = {
    Runtime.ONNXRUNTIME: "edgesdk.benchmark.coverage.onnxruntime",
    Runtime.OPENVINO: "edgesdk.benchmark.coverage.openvino",
    Runtime.LITERT: "edgesdk.benchmark.coverage.litert",
}


class VariantLane:
    """One session of a variant, its input filled with a picture.

    Inputs that members have of their own are filled anew by each inference: a cascade and an ensemble cost what a further picture
    takes to be prepared, in doubt or not. The one picture that every model needs is a stage beside it.

    Raises:
        SessionFailed, MissingExtra: as for `open_files`.
    """

    def __init__(self, opening: Opening) -> None:
        options = opening.options
        self._opening = opening
        self._variant = Variant.model_validate(options["variant"])
        self._runtime = Runtime(options["runtime"])
        self._session: Session = open_files(
            self._files(),
            self._variant,
            tuple(TensorSpec.model_validate(spec) for spec in options["inputs"]),
            tuple(TensorSpec.model_validate(spec) for spec in options["outputs"]),
            runtime=self._runtime,
            options=SessionOptions(threads=opening.threads),
        )
        self._binding = self._session.bind(1)[0]
        self._paced = _paced(self._binding, self._variant)
        manifest = options.get("manifest")
        self._manifest = Manifest.from_bytes(manifest.encode()) if manifest else None
        self.picture: tuple[int, int] | None = None
        cv2.setNumThreads(1)  # as in the agent
        self._prepare_own: Callable[[], None] | None = None
        self._fill()

    def infer(self) -> Mapping[str, Array]:
        if self._prepare_own is not None:
            self._prepare_own()
        return self._paced()

    def stages(self) -> Mapping[str, Callable[[], object]]:
        manifest, image = self._manifest, self._image()
        if manifest is None or manifest.preprocess is None or image is None:
            return {}
        picture = read_or_draw(self._opening.files.get("picture"))
        self.picture = (picture.shape[0], picture.shape[1])
        preprocessor = Preprocessor(manifest.preprocess, image, folded=self._variant.folded)
        place = self._binding.inputs[image.name]

        def prepare() -> Geometry:
            return preprocessor.into(picture, place)

        geometry = prepare()
        carried = {state.output for state in manifest.state}
        outputs = tuple(spec for spec in self._session.outputs if spec.name not in carried)
        size = manifest.preprocess.size
        decoder = Decoder(manifest.task, manifest.postprocess, manifest.labels, outputs, size)
        memory: dict[str, int] | None = {} if manifest.state else None
        answer = self.infer()
        return {
            "preprocess": prepare,
            "decode": lambda: decoder(answer, geometry, memory),
        }

    def coverage(self) -> Coverage | None:
        if self._runtime not in _COVERAGE:
            return None
        module = importlib.import_module(_COVERAGE[self._runtime])
        nodes: list[ExecutedNode] = []
        for files, variant in self._models():
            found = module.executed_nodes(files, variant, self._opening.threads, self._opening.folder)
            if found is None:
                return None
            nodes += found
        return summarise(nodes, self._variant.precision, str(module.home()))

    def _models(self) -> list[tuple[dict[str, bytes], Variant]]:
        """Return the files of each model that the variant has, with the variant that it is alone."""
        files, together = self._files(), self._variant.together
        if together is None:
            return [(files, self._variant)]
        alone = [
            self._variant.model_copy(update={"precision": one.precision, "together": None}) for one in together.members
        ]
        return [(files_of(files, place), variant) for place, variant in enumerate(alone)]

    def _files(self) -> dict[str, bytes]:
        """Read the variant's files; not kept, since what is measured keeps what it needs."""
        parts = self._opening.files.items()
        return {name.removeprefix("role/"): path.read_bytes() for name, path in parts if name.startswith("role/")}

    def _image(self) -> TensorSpec | None:
        """Return the input that is the picture, where there is exactly one."""
        carried = {state.input for state in self._manifest.state} if self._manifest else set()
        own = (self._manifest.own_preprocess if self._manifest else None) or {}
        images = [spec for spec in self._session.inputs if spec.name not in carried and spec.name not in own]
        return images[0] if len(images) == 1 else None

    def _preparing_own(self, manifest: Manifest, picture: Array) -> Callable[[], None] | None:
        """Return what fills the inputs that members have of their own; None where none has."""
        own = [
            (Preprocessor(one.preprocess, one.tensor, folded=one.folded), self._binding.inputs[one.tensor.name])
            for one in own_pictures(manifest.own_preprocess, self._session.inputs, self._variant.together)
        ]

        def prepare() -> None:
            for preprocessor, place in own:
                preprocessor.into(picture, place)

        return prepare if own else None

    def _fill(self) -> None:
        """Write the picture into the image input, zeros into states, and seeded noise where nothing is known."""
        manifest, image = self._manifest, self._image()
        rng = np.random.default_rng(0)
        carried = {state.input for state in manifest.state} if manifest else set()
        for spec in self._session.inputs:
            whole = spec.dtype not in {"float32", "float16"}
            values = (
                rng.integers(0, 2 if spec.dtype == "bool" else 127, spec.shape) if whole else rng.random(spec.shape)
            )
            self._binding.inputs[spec.name][...] = 0 if spec.name in carried else values.astype(spec.numpy_dtype)
        if manifest is not None and manifest.preprocess is not None and image is not None:
            picture = read_or_draw(self._opening.files.get("picture"))
            prepare = Preprocessor(manifest.preprocess, image, folded=self._variant.folded)
            prepare.into(picture, self._binding.inputs[image.name])
            self._prepare_own = self._preparing_own(manifest, picture)
        if isinstance(self._binding, BatchBinding):
            # An inference fills those of the first row alone.
            if self._prepare_own is not None:
                self._prepare_own()
            self._binding.repeat()


def _paced(binding: Binding, variant: Variant) -> Callable[[], Mapping[str, Array]]:
    """Return the binding's `run`; a cascade's asks its second model as often as it was asked on the calibration pictures.

    On one picture alone a cascade would take either the time of the first model or that of both.
    """
    together = variant.together
    if together is None or together.share is None or not isinstance(binding, TogetherBinding):
        return binding.run
    share, owed = together.share, 0.0

    def run() -> Mapping[str, Array]:
        nonlocal owed
        owed += share
        in_doubt = owed >= 1.0
        owed -= in_doubt
        return binding.run(in_doubt=in_doubt)

    return run
