"""What the parity doctor says of an input: measured scales, other sizes, variants, types, and the words it uses."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from edgesdk.parity_doctor.diagnosis import Diagnosis
from edgesdk.parity_doctor.examine_input import contract_of, examine_input
from edgesdk.parity_doctor.lattice import PLANES, colours
from edgesdk.parity_doctor.mistakes import MISTAKES, name_of, texts
from edgesdk.parity_doctor.pixels import INTERPOLATIONS, Frame, Picture, resized
from edgesdk.parity_doctor.reading import Contract, readings
from edgesdk.parity_doctor.resample import KERNELS, antialiased
from edgesdk.parity_doctor.values import PRESETS, ways
from edgesdk_converters.proving.parity_pictures import draw_picture
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.target import Runtime
from edgesdk_targets.tensor import Array
from edgesdk_testkit.careless_app import FEEDS, Feed, Slip, careless, feed, picture_file, single_mistakes
from edgesdk_testkit.tiny_bundles import tiny_manifest, tiny_variant
from edgesdk_testkit.tiny_models import CNN, PIXELS

FILE = picture_file(3)
PICTURE = Picture.from_bytes(FILE, "drawn.jpg")
LETTERBOX = FEEDS["rgb letterbox"]


def diagnose(right: Feed, dump: Array, picture: Picture = PICTURE) -> Diagnosis:
    spec = Preprocess.model_validate(right.preprocess())
    return examine_input(dump, Contract("NCHW", "float32", right.size, spec.channels), spec, picture)


def names(found: Diagnosis) -> list[str]:
    return [m.name + (f":{m.found}" if m.found else "") for m in found.mistakes]


def test_the_evidence_is_the_likeness_before_and_after() -> None:
    found = diagnose(LETTERBOX, feed(FILE, careless(LETTERBOX, Slip("", "", {"color": "bgr", "noise": 0}))))
    assert names(found) == ["channels_swapped:BGR"]
    assert found.before_db is not None
    assert found.after_db is not None
    assert found.before_db < 15
    assert found.after_db > 60
    assert "OpenCV reads BGR" in found.mistakes[0].change
    assert found.notes == ()


def test_an_unusual_scale_is_measured() -> None:
    odd = {"mean": (90.0, 100.0, 110.0), "std": (40.0, 50.0, 60.0), "color": "bgr"}
    found = diagnose(LETTERBOX, feed(FILE, careless(LETTERBOX, Slip("", "", odd))))
    assert [m.name for m in found.mistakes] == ["channels_swapped", "normalisation_other"]
    measured = [float(text) for text in found.mistakes[1].found.replace("mean", "").replace("std", "")
                .replace("[", "").replace("]", "").split(",")]  # fmt: skip
    assert measured == pytest.approx([90, 100, 110, 40, 50, 60], rel=0.02)


def test_an_unusual_channel_order_is_measured() -> None:
    dump = feed(FILE, LETTERBOX)[:, [1, 0, 2]] * 3 + 1
    assert [m.name for m in diagnose(LETTERBOX, dump).mistakes] == ["channels_other", "normalisation_other"]


def test_another_size_is_named_beside_what_else_is_wrong() -> None:
    found = diagnose(LETTERBOX, feed(FILE, careless(LETTERBOX, Slip("", "", {"size": (96, 96), "color": "bgr"}))))
    assert names(found) == ["size_other:96 x 96", "channels_swapped:BGR"]
    assert found.before_db is None


def test_what_the_shape_proves_does_not_count_against_the_two() -> None:
    """A picture fed as OpenCV reads it: axes, type, colours, scale and filter are all wrong."""
    change = {"axes": "HWC", "finish": "uint8", "color": "bgr", "scalings": ("raw",), "interpolation": "cubic"}
    found = diagnose(LETTERBOX, feed(FILE, careless(LETTERBOX, Slip("", "", change))))
    assert names(found) == ["layout:HWC", "interpolation:cubic", "channels_swapped:BGR", "scale_missing"]


def test_an_alpha_channel_is_named() -> None:
    dump = feed(FILE, careless(LETTERBOX, Slip("", "", {"axes": "NHWC"})))
    with_alpha = np.concatenate([dump, np.ones_like(dump[..., :1])], axis=3)
    assert names(diagnose(LETTERBOX, with_alpha)) == ["layout:NHWC", "alpha"]


def test_torchvisions_crop_is_told_from_a_wrong_one() -> None:
    right = FEEDS["rgb imagenet crop"]
    with Image.open(io.BytesIO(FILE)) as opened:
        upright = opened.transpose(Image.Transpose.ROTATE_270)
    side = int(right.size[0] / 0.875)
    short = min(upright.size)
    larger = upright.resize((int(upright.width * side / short), int(upright.height * side / short)), Image.BILINEAR)
    left, top = round((larger.width - 72) / 2), round((larger.height - 72) / 2)
    pixels = np.asarray(larger.crop((left, top, left + 72, top + 72)), np.float32)
    dump = ((pixels - right.mean) / right.std).transpose(2, 0, 1)[None].astype(np.float32)
    assert names(diagnose(right, dump)) == ["crop_after_resize", "interpolation:antialiased linear"]


def test_a_letterbox_that_rounds_down_is_named() -> None:
    picture = draw_picture((300, 407), 4)
    small = cv2.resize(picture[..., ::-1], (int(407 * 64 / 300), 64))
    boxed = np.full((64, 96, 3), 114, np.uint8)
    left = (96 - small.shape[1]) // 2
    boxed[:, left : left + small.shape[1]] = small
    dump = (boxed / 255).astype(np.float32).transpose(2, 0, 1)[None]
    assert names(diagnose(LETTERBOX, dump, Picture(picture, None))) == ["letterbox_rounding"]


def test_what_is_nearly_right_is_not_called_right() -> None:
    """An augmentation was left on: far more noise than a decoder makes."""
    found = diagnose(LETTERBOX, feed(FILE, careless(LETTERBOX, Slip("", "", {"noise": 9}))))
    assert (found.verdict, found.mistakes) == ("not explained", ())
    assert found.nearest[0].share > 0.95
    assert "comes near" in found.notes[0]


def test_a_constant_tensor_is_an_input_never_filled() -> None:
    found = diagnose(LETTERBOX, np.full((1, 3, 64, 96), 0.5, np.float32))
    assert found.verdict == "not explained"
    assert "All its values are equal (0.5)" in found.notes[0]


@pytest.mark.parametrize("dtype", ["float32", "uint8", "int64"])
@pytest.mark.parametrize("right", FEEDS.values(), ids=str)
def test_a_tensor_of_zeros_is_never_called_explained(right: Feed, dtype: str) -> None:
    """Values of 0..1 that were cast to whole numbers are zeros too, but so is an input that nobody filled."""
    channels = feed(FILE, right).shape[1]
    found = diagnose(right, np.zeros((1, channels, *right.size), dtype))
    assert (found.verdict, found.mistakes, found.after_db) == ("not explained", (), None)
    assert "All its values are equal (0)" in found.notes[0]
    assert "cast to whole numbers" in found.notes[0]


def test_a_cast_that_leaves_the_tensor_as_far_away_explains_nothing() -> None:
    """Nearly all zeros: a cast of 0..1 gives as many, but not where this tensor has its ones."""
    dump = np.zeros((1, 3, *LETTERBOX.size), np.float32)
    dump[:, :, ::16, ::16] = 1
    found = diagnose(LETTERBOX, dump)
    assert (found.verdict, found.after_db) == ("not explained", None)


def test_one_dead_channel_is_not_explained() -> None:
    dump = feed(FILE, LETTERBOX)
    dump[:, 1] = 0
    assert diagnose(LETTERBOX, dump).verdict == "not explained"


def test_a_flat_picture_is_refused() -> None:
    flat = Picture(np.full((50, 50, 3), 80, np.uint8), None)
    with pytest.raises(InputError, match="one colour"):
        diagnose(LETTERBOX, feed(FILE, LETTERBOX), flat)


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ((8, 3, 64, 96), "holds 8 pictures"),
        ((64,), "1 dimensions"),
        ((1, 1, 3, 64, 96), "5 dimensions"),
        ((1, 7, 64, 96), "no axis of 1, 3 or 4"),
        ((1, 3, 5, 5), "too small"),
        ((1, 3, 2, 17000), "not possible"),
    ],
)
def test_what_is_no_picture_is_refused(shape: tuple[int, ...], says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        diagnose(LETTERBOX, np.arange(np.prod(shape), dtype=np.float32).reshape(shape))
    assert caught.value.hint


def test_a_dump_in_a_variants_own_form_is_right() -> None:
    """The variant with mean and std inside takes uint8 pixels."""
    variant, _ = tiny_variant(PIXELS, "rpi5", Runtime.LITERT)
    manifest = tiny_manifest(CNN, [variant])
    spec = manifest.preprocess
    assert spec is not None
    right = Feed(spec.size, "bgr", mean=(0.0,) * 3, std=(1.0,) * 3, noise=0)
    dump = feed(FILE, careless(right, Slip("", "", {"axes": "NHWC", "finish": "uint8"})))
    contract, folded = contract_of(manifest, dump)
    assert (contract.normalised, contract.layout, contract.dtype) == (False, "NHWC", "uint8")
    assert examine_input(dump, contract, folded, PICTURE).verdict == "matches"
    # As floats the same pixels are not.
    contract, spec = contract_of(manifest, dump.astype(np.float32))
    assert contract.normalised
    assert examine_input(dump.astype(np.float32), contract, spec, PICTURE).verdict == "explained"


def test_a_bundle_without_preprocessing_is_refused() -> None:
    variant, _ = tiny_variant(CNN, "generic-onnx", Runtime.ONNXRUNTIME)
    manifest = tiny_manifest(CNN, [variant], preprocess=None)
    with pytest.raises(InputError, match="how a picture is prepared") as caught:
        contract_of(manifest, np.zeros((1, 3, 16, 16), np.float32))
    assert "preprocess" in caught.value.hint


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("size", [(31, 77), (200, 50), (120, 160), (300, 400)])
def test_antialiasing_is_pils(kernel: str, size: tuple[int, int]) -> None:
    picture = draw_picture((120, 160), 1)
    method = {
        "antialiased linear": Image.BILINEAR,
        "antialiased cubic": Image.BICUBIC,
        "antialiased lanczos": Image.LANCZOS,
    }[kernel]
    wanted = np.asarray(Image.fromarray(picture).resize((size[1], size[0]), method)).astype(int)
    difference = np.abs(antialiased(picture, size, kernel) - wanted)
    # PIL's weights are whole numbers: a tie may be rounded otherwise in each of the two passes.
    assert difference.max() <= 2
    assert difference.mean() < 0.2


def test_every_interpolation_keeps_a_flat_picture() -> None:
    flat = np.full((40, 60, 3), 77, np.uint8)
    for interpolation in INTERPOLATIONS:
        assert (resized(flat, (13, 90), interpolation) == 77).all(), interpolation


def test_a_picture_too_small_for_a_cut_is_left_out() -> None:
    small = Picture(draw_picture((20, 20), 1), None)
    assert small.pixels(Frame(True, "crop_only", 1.0, (64, 96), "linear")) is None
    assert diagnose(LETTERBOX, feed(FILE, LETTERBOX), small).verdict == "not explained"


def test_the_readings_of_a_dump() -> None:
    contract = Contract("NCHW", "float32", (4, 6), 3)
    dump = np.arange(72.0).reshape(1, 3, 4, 6)
    plain, scrambled, turned = readings(dump, contract)
    np.testing.assert_array_equal(plain.values, dump[0].transpose(1, 2, 0))
    np.testing.assert_array_equal(scrambled.values.ravel(), dump.ravel())
    assert (plain.mistakes, scrambled.mistakes) == ((), ("reshaped",))
    assert turned.mistakes == ("transposed", "size_swapped")


def test_ways_to_scale_are_told_apart_by_their_effect() -> None:
    imagenet = PRESETS["imagenet"]
    found = ways(*imagenet)
    assert found[0].mistakes == ()
    effects = {(way.mean, way.std) for way in found}
    assert len(effects) == len(found)
    # Without a mean, forgetting it changes nothing, and no std is no division by 255.
    zero_one = ways(*PRESETS["0..1 (pixel / 255)"], most=1)
    assert ("mean_missing",) not in [way.mistakes for way in zero_one]
    scale = next(way for way in zero_one if way.mistakes == ("scale_missing",))
    assert ("std_missing",) in scale.also


def test_every_mistake_has_words() -> None:
    for name, mistake in MISTAKES.items():
        says, change = texts(f"{name}:this", "that")
        assert says
        assert change.endswith((".", ")")), name
        assert "{" not in says + change
        assert not mistake.says[0].isupper()
    made = {name_of(slip.name) for right in FEEDS.values() for slip in single_mistakes(right)}
    assert made <= set(MISTAKES)


def test_every_plane_has_a_name() -> None:
    for color in ("rgb", "bgr", "gray"):
        spec = Preprocess.model_validate({"color": color, "size": (4, 4)})
        for channels in (1, 3):
            for colour in colours(spec, channels):
                assert max(colour.planes) < len(PLANES)
