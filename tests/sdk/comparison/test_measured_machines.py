"""Times of several files are of one machine, of as many threads, and of each variant once."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.errors import InputError
from edgesdk_targets.target import Runtime
from edgesdk_testkit.measured_elsewhere import Change, Document, OnAPi, compared
from edgesdk_testkit.tiny_bundles import write_tiny_bundle
from edgesdk_testkit.tiny_models import WIDE


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("other") / "wide.edgebundle", WIDE, (("rpi5", Runtime.LITERT),))


@pytest.fixture
def of_other(other: Path, on_a_pi: OnAPi) -> OnAPi:
    """Return what writes the document of the other bundle, changed."""
    with open_bundle(other) as opened:
        digest = opened.digest

    def write(change: Change = lambda _document: None, name: str = "other.json") -> Path:
        def both(document: Document) -> None:
            document["digest"] = digest
            change(document)

        return on_a_pi(both, name)

    return write


def on_a_host(**facts: object) -> Change:
    return lambda document: document["host"].update(facts)


def of_threads(number: int) -> Change:
    return lambda document: document["variants"][-1].update(threads=number)


def with_a_row_that_is_not_compared(document: Document) -> None:
    # It has no say in how many threads the times are of.
    document["variants"] = [{**document["variants"][0], "variant": "another", "threads": 9}, document["variants"][0]]
    document["variants"][1]["threads"] = 1


def test_a_variant_is_told_of_once(small_bundle: Path, on_a_pi: OnAPi, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="another file does too"):
        compared(small_bundle, measured=[on_a_pi(), on_a_pi(name="again.json")])
    with pytest.raises(InputError, match="cannot be read"):
        compared(small_bundle, measured=[tmp_path / "none.json"])


@pytest.mark.parametrize(
    ("one", "two", "said"),
    [
        ({}, {"target": None, "cpu": "Cortex-A72"}, r"of rpi5: Cortex-A76, .* and of Cortex-A72, "),
        # `x86-cpu` is every PC: another processor, or another number of its cores, is another machine.
        (
            {"target": "x86-cpu", "cpu": "Xeon", "cores": 8},
            {"target": "x86-cpu", "cpu": "Atom", "cores": 8},
            "of x86-cpu: Xeon, .* 8 cores and of x86-cpu: Atom, .* 8 cores",
        ),
        (
            {"target": "x86-cpu", "cpu": "Xeon", "cores": 8},
            {"target": "x86-cpu", "cpu": "Xeon", "cores": 2},
            "of x86-cpu: Xeon, .* 8 cores and of x86-cpu: Xeon, .* 2 cores",
        ),
        # And `x86-gpu-nvidia` is every card.
        (
            {"target": "x86-gpu-nvidia", "cpu": "Xeon", "accelerator": "NVIDIA L4"},
            {"target": "x86-gpu-nvidia", "cpu": "Xeon", "accelerator": "NVIDIA A2"},
            "of x86-gpu-nvidia: Xeon, .*, NVIDIA L4 and of x86-gpu-nvidia: Xeon, .*, NVIDIA A2: which",
        ),
    ],
    ids=["board", "processor", "cores", "card"],
)
def test_two_machines_are_refused(
    one: dict[str, object],
    two: dict[str, object],
    said: str,
    small_bundle: Path,
    other: Path,
    on_a_pi: OnAPi,
    of_other: OnAPi,
) -> None:
    with pytest.raises(InputError, match=said):
        compared(small_bundle, other, measured=[on_a_pi(on_a_host(**one)), of_other(on_a_host(**two))])


def test_one_machine_is_told_with_its_card(small_bundle: Path, other: Path, on_a_pi: OnAPi, of_other: OnAPi) -> None:
    card = on_a_host(accelerator="NVIDIA L4")
    told = compared(small_bundle, other, measured=[on_a_pi(card), of_other(card)]).devices
    assert [line.count(" cores, NVIDIA L4, ") for line in told] == [1, 1]


def test_times_of_two_numbers_of_threads_are_refused(
    small_bundle: Path, other: Path, on_a_pi: OnAPi, of_other: OnAPi
) -> None:
    with pytest.raises(InputError, match=r"1 thread, .* with 4 threads"):
        compared(small_bundle, other, measured=[on_a_pi(of_threads(1)), of_other(of_threads(4))])
    files = [on_a_pi(with_a_row_that_is_not_compared), of_other(with_a_row_that_is_not_compared)]
    alike = compared(small_bundle, other, measured=files)
    assert [line.count(", 1 thread,") for line in alike.devices] == [1, 1]
