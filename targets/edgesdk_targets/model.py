"""A bundle, loaded: preprocess, inference, decoding and recurrent state behind one call."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from edgesdk_targets.bundle.bundle import Bundle
from edgesdk_targets.bundle.manifest import Manifest
from edgesdk_targets.calls import Calls, Picture, is_batch
from edgesdk_targets.decode.decoder import Decoder
from edgesdk_targets.errors import InputError
from edgesdk_targets.loading import Loaded, LoadOptions, load_variant
from edgesdk_targets.preprocess.geometry import Geometry
from edgesdk_targets.results import Result
from edgesdk_targets.session import Binding, Session, batch_of, computes_on_caller, starts_ahead
from edgesdk_targets.slot import Slot
from edgesdk_targets.state import StreamState
from edgesdk_targets.stream_claims import StreamClaims
from edgesdk_targets.tensor import Array
from edgesdk_targets.together.own_picture import OwnPicture, own_pictures
from edgesdk_targets.window import StreamWindows

if TYPE_CHECKING:
    from typing_extensions import Unpack

AnyModel = TypeVar("AnyModel", bound="Model")


class Model:
    """A loaded variant of a bundle. Up to `lanes` of its slots infer at the same time, each from a thread of its own, or
    two from one where it `starts_ahead`.

    It may be called from any number of threads: those that find no lane free wait for one.

    Attributes:
        choice: which variants could run here, and why the others were not taken.
        options: that its session was opened with.
        runtime: what runs it; differs from the variant's own where that is not installed.
        weak_from: from which score on detections are kept for a tracker; None keeps none below the threshold.
    """

    weak_from: float | None = None

    def __init__(self, loaded: Loaded) -> None:
        self.manifest: Manifest = loaded.bundle.manifest
        self.digest = loaded.bundle.digest
        self.variant = loaded.variant
        self.runtime = loaded.runtime
        self.choice = loaded.choice
        self.options = loaded.options
        session = self._session = loaded.session
        self._states = StreamState(self.manifest.state, session.inputs)
        # Of several models that answer as one: the inputs that some of them have of their own.
        self.own_pictures = own_pictures(self.manifest.own_preprocess, session.inputs, self.variant.together)
        apart = {state.input for state in self.manifest.state} | {own.tensor.name for own in self.own_pictures}
        images = [spec for spec in session.inputs if spec.name not in apart]
        if len(images) != 1 or self.manifest.preprocess is None:
            raise InputError(
                f"{self.manifest.name} takes {[spec.name for spec in images]}, and not one picture.",
                hint="Give the card a `preprocess`, and declare the other inputs under `state`; or use `session.run`.",
            )
        self.image_input = images[0].name
        # What one picture becomes: the input, or of a model that takes clips one frame of it.
        window = self.manifest.window
        self.frame_spec = images[0] if window is None else window.frame_of(images[0])
        self._windows = None if window is None else StreamWindows(window, images[0])
        self._decoder = Decoder(
            self.manifest.task,
            self.manifest.postprocess,
            self.manifest.labels,
            tuple(s for s in session.outputs if s.name not in {state.output for state in self.manifest.state}),
            self.manifest.preprocess.size,
        )
        # Recurrent state is fed, run and kept as one step, whoever asks; so is a clip.
        self._turn = threading.Lock() if self._in_order else nullcontext()
        self._claims = StreamClaims()
        self._calls: Calls[Result | None] = Calls(self)

    def __repr__(self) -> str:
        name = f"{self.manifest.name} {self.manifest.version}"
        return f"<{type(self).__name__} {name}: {self.variant.id} by {self.runtime.value}, {self._calls.state}>"

    @property
    def session(self) -> Session:
        return self._session

    @property
    def lanes(self) -> int:
        """How many slots may infer at the same time; one where a frame's answer depends on that of the frame before."""
        return 1 if self._in_order else self._session.streams

    @property
    def batch(self) -> int:
        """How many pictures one inference takes; one alone costs as much as so many."""
        return batch_of(self._session)

    @property
    def on_caller(self) -> bool:
        """Whether the thread that infers does all of the work itself."""
        return computes_on_caller(self._session)

    @property
    def starts_ahead(self) -> bool:
        """Whether an inference can be started before the one before it is over, by the same thread."""
        return starts_ahead(self._session) and not self._in_order

    @property
    def _in_order(self) -> bool:
        return bool(self.manifest.state) or self.manifest.window is not None

    @overload
    # A path is a sequence of texts as well: it means one picture.
    def __call__(self, image: Picture, *, camera: str = ...) -> Result: ...  # type: ignore[overload-overlap]

    @overload
    def __call__(self, image: Sequence[Picture], *, camera: str = ...) -> list[Result]: ...

    def __call__(self, image: Picture | Sequence[Picture], *, camera: str = "default") -> Result | list[Result]:
        """Answer for one picture, or for several.

        Args:
            image: an array (H, W, 3) uint8 BGR, or the path of a file; a list or tuple of these, or an array
                (N, H, W, 3), is answered with a list, on all lanes at once, and `batch` of them by one inference. A model
                that takes clips is given several pictures, and answers each clip that they complete.
            camera: whose recurrent state or clip is used; the pictures are its next frames, in their order.

        Raises:
            InputError: a picture cannot be used, or a model that takes clips is given one alone.
            SessionFailed: the runtime failed, or the model is closed.
        """
        if is_batch(image) and self.batch > 1:
            return self._in_batches(cast("Sequence[Picture]", image))
        if is_batch(image):
            answers = self._calls.each(image, camera)  # type: ignore[arg-type]  # told apart by what it is
            return [answer for answer in answers if answer is not None]
        window = self.manifest.window
        if window is not None:
            raise InputError(
                f"{self.manifest.name} takes clips of {window.frames} pictures, and not one.",
                hint="Give a list of pictures, or one after the other to `model.feed`, which answers when a clip is full.",
            )
        answer = self._calls.one(image, camera)  # type: ignore[arg-type]
        assert answer is not None  # noqa: S101  (only a clip keeps one waiting)
        return answer

    def _in_batches(self, pictures: Sequence[Picture]) -> list[Result]:
        def ask(slot: object, images: Sequence[Array]) -> list[Result | None]:
            return [*cast("Slot", slot).infer_together(images)]

        return cast("list[Result]", self._calls.together(pictures, self.batch, ask))

    def feed(self, image: Picture, *, camera: str = "default") -> Result | None:
        """Take a camera's next picture, and return the answer, or None where a model that takes clips has none to give yet.

        Raises:
            InputError: the picture cannot be used.
            SessionFailed: the runtime failed, or the model is closed.
        """
        return self._calls.one(image, camera)

    def slots(self, count: int) -> tuple[Slot, ...]:
        """Preallocate `count` inputs, which a pipeline fills and infers by turns."""
        return tuple(Slot(self, binding) for binding in self._session.bind(count))

    def new_preprocessor(self) -> Any:
        """Return a preprocessor for the image input; each slot has its own, as it keeps scratch memory."""
        from edgesdk_targets.preprocess.apply import Preprocessor

        assert self.manifest.preprocess is not None  # noqa: S101  (checked in __init__)
        return Preprocessor(self.manifest.preprocess, self.frame_spec, folded=self.variant.folded)

    def preprocessor_of(self, own: OwnPicture) -> Any:
        """Return a preprocessor for the input that a member has of its own."""
        from edgesdk_targets.preprocess.apply import Preprocessor

        return Preprocessor(own.preprocess, own.tensor, folded=own.folded)

    def infer(self, binding: Binding, geometry: Geometry | None, camera: str, seq: int) -> Result:
        """Run one binding with the camera's recurrent state, and decode."""
        if not self.manifest.state:
            return self._decoder(binding.run(), geometry, None)
        with self._turn:
            self._states.feed(camera, seq, binding.inputs)
            outputs: Mapping[str, Array] = binding.run()
            self._states.keep(camera, outputs)
            return self._decoder(outputs, geometry, self._states.memory(camera))

    def decode(self, outputs: Mapping[str, Array], geometry: Geometry | None) -> Result:
        """Decode one picture's outputs of a model without state."""
        return self._decoder(outputs, geometry, None)

    def infer_clip(
        self, binding: Binding, frame: Array, geometry: Geometry | None, camera: str, seq: int
    ) -> Result | None:
        """Take a prepared frame into the camera's clip; where the model is to be asked now, run and decode."""
        assert self._windows is not None  # noqa: S101  (a slot looks)
        with self._turn:
            if not self._windows.push(camera, seq, frame):
                return None
            self._windows.write(camera, binding.inputs[self.image_input])
            return self._decoder(binding.run(), geometry, None)

    def keep_weak(self, score: float) -> None:
        """Have a detector's results hold what is below its score threshold too, from this score on, as `Detections.weak`.

        For a tracker, which continues objects by weak detections; everything else stays as it is. To be called before the
        model is used.
        """
        self._decoder.keep_weak(score)
        self.weak_from = score

    def reset(self, camera: str | None = None) -> None:
        """Forget the recurrent state or the clip of one camera, or of all."""
        with self._turn:
            self._states.reset(camera)
            if self._windows is not None:
                self._windows.reset(camera)

    def claim_streams(self, owner: object, cameras: Collection[str]) -> None:
        """Note that a pipeline feeds these cameras' streams from now on; nothing to note where a frame stands alone.

        Raises:
            InputError: another pipeline feeds one of them.
        """
        if self._in_order:
            self._claims.take(owner, cameras)

    def release_streams(self, owner: object) -> None:
        """Note that a pipeline feeds no stream any more."""
        self._claims.release(owner)

    def close(self) -> None:
        self._calls.close()
        self._session.close()

    def __enter__(self: AnyModel) -> AnyModel:  # noqa: PYI019  (typing.Self came with Python 3.11)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def load_model(bundle: Bundle | str | Path, **how: Unpack[LoadOptions]) -> Model:
    """Open a bundle and load the best variant that works on this host; see `LoadOptions`.

    Raises:
        InputError: a name in `how` is not known, a value of `postprocess` is wrong, or the model does not take one picture.
        BundleError: the bundle is damaged, or nothing in it can run here.
        SessionFailed: every variant that could run here failed; the best one's failure.
        MissingExtra: likewise, as its runtime does not load.
    """
    return Model(load_variant(bundle, **how))
