"""The parity doctor on photographs: mistakes with the sizes and the preprocessing of real models."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from edgesdk.parity_doctor.diagnosis import Diagnosis
from edgesdk.parity_doctor.examine_input import examine_input
from edgesdk.parity_doctor.pixels import Picture
from edgesdk.parity_doctor.reading import Contract
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_testkit.careless_app import Feed, Slip, careless, feed, pairs_of_mistakes, single_mistakes

pytestmark = pytest.mark.real

FEEDS = {
    "mobilenet": Feed((224, 224), resize="center_crop", mean=(128.0,) * 3, std=(128.0,) * 3),
    "crnn": Feed((32, 128), "gray", mean=(127.5,), std=(127.5,)),
    "yolo": Feed((256, 320), resize="letterbox"),
}
# A photograph that is stored upright cannot show a forgotten EXIF orientation.
LEFT_OUT = {"exif_ignored"}
PAIRS = 5


@pytest.fixture(scope="module")
def photographs(assets: Path) -> list[bytes]:
    files = sorted((assets / "detection_coco" / "images").glob("*.jpg"))
    return [files[at].read_bytes() for at in (0, 9, 20)]


def diagnose(right: Feed, data: bytes, slips: tuple[Slip, ...], picture: Picture) -> Diagnosis:
    spec = Preprocess.model_validate(right.preprocess())
    contract = Contract("NCHW", "float32", right.size, spec.channels)
    return examine_input(feed(data, careless(right, *slips)), contract, spec, picture)


def misnamed(right: Feed, data: bytes, cases: list[tuple[Slip, ...]]) -> list[str]:
    picture = Picture.from_bytes(data, "photograph")
    wrong = []
    for slips in cases:
        found = diagnose(right, data, slips, picture)
        wanted = {slip.name for slip in slips}
        named = {m.name + (f":{m.found}" if m.found else "") for m in found.mistakes}
        same = [set(o.mistakes) for o in found.also if o.grey_levels in {None, found.grey_levels}]
        if wanted != named and wanted not in same:
            wrong.append(f"{sorted(wanted)} was named {sorted(named)} ({found.verdict})")
    return wrong


@pytest.mark.parametrize("name", FEEDS)
def test_mistakes_are_named(name: str, photographs: list[bytes]) -> None:
    right = FEEDS[name]
    singles: list[tuple[Slip, ...]] = [(s,) for s in single_mistakes(right) if s.name not in LEFT_OUT]
    assert misnamed(right, photographs[0], singles[::4]) == []
    pairs = pairs_of_mistakes(right, photographs[1], seed=5)
    several: list[tuple[Slip, ...]] = list(
        islice((pair for pair in pairs if not LEFT_OUT & {s.name for s in pair}), PAIRS)
    )
    wrong = misnamed(right, photographs[1], several)
    assert len(wrong) <= 0.2 * PAIRS, wrong


@pytest.mark.parametrize("name", FEEDS)
def test_another_photograph_is_not_explained(name: str, photographs: list[bytes]) -> None:
    right = FEEDS[name]
    picture = Picture.from_bytes(photographs[0], "photograph")
    for other in photographs[1:]:
        assert diagnose(right, other, (), picture).verdict == "not explained"
    assert diagnose(right, photographs[0], (), picture).verdict == "matches"
