"""Graphics cards are named by the system's own files, in the order of their slots."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesdk.benchmark.host import host_facts
from edgesdk.comparison.device_times import _Host
from edgesdk_targets import nvidia_driver
from edgesdk_targets.nvidia_driver import nvidia_cards

# As the driver writes it.
INFORMATION = """Model: \t\t {model}
IRQ:   \t\t 42
GPU UUID: \t GPU-00000000-0000-0000-0000-000000000000
Video BIOS: \t 96.00.74.00.1a
Bus Type: \t PCIe
"""


@pytest.fixture
def cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(nvidia_driver, "_CARDS", tmp_path)
    return tmp_path


def test_each_card_has_its_name(cards: Path) -> None:
    for slot, text in (
        ("0000:41:00.0", INFORMATION.format(model="NVIDIA A2")),
        ("0000:01:00.0", INFORMATION.format(model="NVIDIA L4")),
        ("0000:81:00.0", "nothing that is known"),
    ):
        (cards / slot).mkdir()
        (cards / slot / "information").write_text(text)
    assert nvidia_cards() == ("NVIDIA L4", "NVIDIA A2", "unknown")
    assert host_facts().accelerator == "NVIDIA L4, NVIDIA A2, unknown"
    assert host_facts().to_json()["accelerator"] == "NVIDIA L4, NVIDIA A2, unknown"
    assert "NVIDIA L4" in host_facts().in_words


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["NVIDIA RTX 6000 Ada Generation"] * 16, "16 x NVIDIA RTX 6000 Ada Generation"),
        (["NVIDIA L4", "NVIDIA A2", "NVIDIA L4"], "2 x NVIDIA L4, NVIDIA A2"),
        ([f"NVIDIA RTX {number} Ada Generation" for number in range(16)], None),
    ],
    ids=["alike", "two-kinds", "many-kinds"],
)
def test_however_many_cards_there_are_a_comparison_reads_what_a_benchmark_wrote(
    cards: Path, names: list[str], told: str | None
) -> None:
    for slot, name in enumerate(names):
        (cards / f"{slot:02d}").mkdir()
        (cards / f"{slot:02d}" / "information").write_text(INFORMATION.format(model=name))
    written = host_facts().to_json()
    assert _Host.model_validate(written).accelerator == written["accelerator"]
    assert told is None or written["accelerator"] == told


def test_a_machine_without_cards_names_none(cards: Path) -> None:
    assert nvidia_cards() == ()
    assert host_facts().accelerator is None
    assert "None" not in host_facts().in_words
