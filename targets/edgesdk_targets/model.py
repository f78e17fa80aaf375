"""A bundle, loaded: preprocess, inference, decoding and recurrent state behind one call."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgesdk_targets.bundle.bundle import Bundle, open_bundle
from edgesdk_targets.bundle.manifest import Manifest, Variant
from edgesdk_targets.decode.decoder import Decoder
from edgesdk_targets.decode.postprocess import Postprocess
from edgesdk_targets.errors import EdgeError, InputError, MissingExtra, SessionFailed
from edgesdk_targets.field_problems import dotted, field_problems
from edgesdk_targets.preprocess.geometry import Geometry
from edgesdk_targets.probe import ProbeLimits, refusal, trial_of_bundle
from edgesdk_targets.probe import probe as probe_variant
from edgesdk_targets.results import Result
from edgesdk_targets.session import Binding, Session, SessionOptions, open_session, passed_over
from edgesdk_targets.state import StreamState
from edgesdk_targets.target import Runtime
from edgesdk_targets.tensor import Array
from edgesdk_targets.variant_choice import Candidate, Choice, choose_variants

log = logging.getLogger(__name__)


class Slot:
    """One preallocated input of a model: filled by one thread while another slot is inferred by another."""

    def __init__(self, model: Model, binding: Binding) -> None:
        self._model = model
        self._binding = binding
        self._preprocessor = model.new_preprocessor()
        self._image = binding.inputs[model.image_input]
        self._geometry: Geometry | None = None

    def prepare(self, image: Array) -> None:
        """Preprocess a picture, (H, W, 3) uint8 BGR, straight into the runtime's memory."""
        self._geometry = self._preprocessor.into(image, self._image)

    def infer(self, camera: str = "default", seq: int = 0) -> Result:
        """Run the model on what was prepared and decode the answer.

        Args:
            camera: whose recurrent state is used.
            seq: the frame's number; a gap starts the state again where the card says so.
        """
        return self._model.infer(self._binding, self._geometry, camera, seq)


class Model:
    """A loaded variant of a bundle. Up to `lanes` of its slots infer at the same time, each from a thread of its own.

    Attributes:
        choice: which variants could run here, and why the others were not taken.
        runtime: what runs it; differs from the variant's own where that is not installed.
    """

    def __init__(self, bundle: Bundle, variant: Variant, runtime: Runtime, session: Session, choice: Choice) -> None:
        self.manifest: Manifest = bundle.manifest
        self.digest = bundle.digest
        self.variant = variant
        self.runtime = runtime
        self.choice = choice
        self._session = session
        self._states = StreamState(self.manifest.state, session.inputs)
        carried = {state.input for state in self.manifest.state}
        images = [spec for spec in session.inputs if spec.name not in carried]
        if len(images) != 1 or self.manifest.preprocess is None:
            raise InputError(
                f"{self.manifest.name} takes {[spec.name for spec in images]}, and not one picture.",
                hint="Give the card a `preprocess`, and declare the other inputs under `state`; or use `session.run`.",
            )
        self.image_input = images[0].name
        self._image_spec = images[0]
        self._decoder = Decoder(
            self.manifest.task,
            self.manifest.postprocess,
            self.manifest.labels,
            tuple(s for s in session.outputs if s.name not in {state.output for state in self.manifest.state}),
            self.manifest.preprocess.size,
        )
        self._own: Slot | None = None
        self._own_seq: dict[str, int] = {}

    @property
    def session(self) -> Session:
        return self._session

    @property
    def lanes(self) -> int:
        """How many slots may infer at the same time; one where a frame's answer depends on that of the frame before."""
        return 1 if self.manifest.state else self._session.streams

    def __call__(self, image: Array | str | Path, *, camera: str = "default") -> Result:
        """Answer for one picture: an array (H, W, 3) uint8 BGR, or the path of a file.

        Raises:
            InputError: the picture cannot be used.
            SessionFailed: the runtime failed.
        """
        if isinstance(image, (str, Path)):
            from edgesdk_targets.preprocess.image_file import read_image

            image = read_image(image)
        if self._own is None:
            self._own = self.slots(1)[0]
        seq = self._own_seq[camera] = self._own_seq.get(camera, -1) + 1
        self._own.prepare(image)
        return self._own.infer(camera, seq)

    def slots(self, count: int) -> tuple[Slot, ...]:
        """Preallocate `count` inputs, which a pipeline fills and infers by turns."""
        return tuple(Slot(self, binding) for binding in self._session.bind(count))

    def new_preprocessor(self) -> Any:
        """Return a preprocessor for the image input; each slot has its own, as it keeps scratch memory."""
        from edgesdk_targets.preprocess.apply import Preprocessor

        assert self.manifest.preprocess is not None  # noqa: S101  (checked in __init__)
        return Preprocessor(self.manifest.preprocess, self._image_spec, folded=self.variant.folded)

    def infer(self, binding: Binding, geometry: Geometry | None, camera: str, seq: int) -> Result:
        """Run one binding with the camera's recurrent state, and decode."""
        if not self.manifest.state:
            return self._decoder(binding.run(), geometry, None)
        self._states.feed(camera, seq, binding.inputs)
        outputs: Mapping[str, Array] = binding.run()
        self._states.keep(camera, outputs)
        return self._decoder(outputs, geometry, self._states.memory(camera))

    def reset(self, camera: str | None = None) -> None:
        """Forget the recurrent state of one camera, or of all."""
        self._states.reset(camera)

    def close(self) -> None:
        self._own = None
        self._session.close()

    def __enter__(self) -> Model:  # noqa: PYI034  (typing.Self came with Python 3.11)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def load_model(
    bundle: Bundle | str | Path,
    *,
    target: str | None = None,
    variant: str | None = None,
    options: SessionOptions | None = None,
    postprocess: Mapping[str, Any] | None = None,
    probe: bool | ProbeLimits = False,
) -> Model:
    """Open a bundle and load the best variant that works on this host.

    Args:
        target, variant: take only this target's variants, or this variant.
        postprocess: values that replace the bundle's own, such as `{"score_threshold": 0.001}`.
        probe: try each variant in a process of its own first, so that one whose runtime crashes or hangs here is passed
            over and this process lives. The first load of a bundle on a machine takes about twice as long; the answer is
            kept. The agent does it; in your own program it is off unless you ask.

    Raises:
        InputError: a value of `postprocess` is wrong, or the model does not take one picture.
        BundleError: the bundle is damaged, or nothing in it can run here.
        SessionFailed: every variant that could run here failed; the best one's failure.
        MissingExtra: likewise, as its runtime does not load.
    """
    if not isinstance(bundle, Bundle):
        # The sessions hold what they need in memory; the file itself need not stay open.
        with open_bundle(bundle) as opened:
            return load_model(
                opened, target=target, variant=variant, options=options, postprocess=postprocess, probe=probe
            )
    if postprocess:
        bundle = _with_postprocess(bundle, postprocess)
    choice = choose_variants(bundle.manifest, target=target, variant_id=variant)
    failures: list[tuple[str, str]] = []
    first: EdgeError | None = None
    for candidate in choice.candidates:
        try:
            session = _open(bundle, candidate, options, probe)
        except (SessionFailed, MissingExtra) as error:
            name = f"{candidate.variant.id} by {candidate.runtime.value}"
            log.warning("%s cannot be used: %s", name, error.message)
            failures.append((name, error.message))
            first = first or error
            continue
        ended = choice.taken(candidate, tuple(failures), passed_over(session))
        return Model(bundle, candidate.variant, candidate.runtime, session, ended)
    assert first is not None  # noqa: S101  (choose_variants gives at least one candidate)
    raise first


def _open(bundle: Bundle, candidate: Candidate, options: SessionOptions | None, probe: bool | ProbeLimits) -> Session:
    """Open a session; try it in a child first where that is asked for."""
    if probe is not False:
        trial = trial_of_bundle(bundle, candidate.variant, candidate.runtime)
        result = probe_variant(trial, options=options, limits=probe if isinstance(probe, ProbeLimits) else None)
        if not result.fine:
            raise refusal(result)
    return open_session(bundle, candidate.variant, runtime=candidate.runtime, options=options)


def _with_postprocess(bundle: Bundle, values: Mapping[str, Any]) -> Bundle:
    import dataclasses

    manifest = bundle.manifest
    try:
        merged = Postprocess.model_validate({**manifest.postprocess.model_dump(), **values})
    except ValidationError as error:
        problem = field_problems(Postprocess, error)[0]
        raise InputError(f"postprocess.{dotted(problem.path)} {problem.message}.", hint=problem.hint) from error
    return dataclasses.replace(bundle, manifest=manifest.model_copy(update={"postprocess": merged}))
