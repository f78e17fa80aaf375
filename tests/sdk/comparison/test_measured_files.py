"""A file of times that is of something else, or of nothing, is refused with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesdk_targets.errors import InputError
from edgesdk_testkit.measured_elsewhere import RPI5, Change, Document, OnAPi, compared


def of_another_bundle(document: Document) -> None:
    document["digest"] = "sha256:" + "0" * 64


def simulated(document: Document) -> None:
    document["variants"][0]["status"] = "simulated"


def several_at_a_time(document: Document) -> None:
    document["variants"][0]["hint"] = "throughput"


def without_a_time(document: Document) -> None:
    document["variants"][0]["latency_ms"] = {"p50": 0, "mean": "much"}


def two_rows_of_one(document: Document) -> None:
    document["variants"].append(document["variants"][0])


def escaping(document: Document) -> None:
    document["host"]["cpu"] = "A76\x1b[2J"


def endless(document: Document) -> None:
    document["host"]["cpu"] = "A" * 201


def of_no_hint(document: Document) -> None:
    document["variants"][0]["hint"] = "\x1b[31mfast"


def of_no_digest(document: Document) -> None:
    document["digest"] = "sha256:\x1b[2J"


def of_more_bytes_than_there_are(document: Document) -> None:
    document["variants"][0]["rss_bytes"] = 10**400


def faster_than_can_be(document: Document) -> None:
    document["variants"][0]["latency_ms"]["p50"] = 1e-308


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (of_another_bundle, "was measured with another bundle: that is sha256:000000000000…"),
        (simulated, "rpi5-litert-fp32 is simulated, on Cortex-A76"),
        (several_at_a_time, "--hint throughput"),
        (without_a_time, r"latency_ms\.p50"),
        (dict.clear, "nothing that `edgesdk benchmark --json` writes"),
        (two_rows_of_one, f"tells of {RPI5} twice"),
        (escaping, r"host\.cpu: must be printable"),
        (endless, r"host\.cpu: .*200"),
        (of_no_hint, r"variants\[0\]\.hint"),
        (of_no_digest, "digest"),
        (of_more_bytes_than_there_are, "rss_bytes"),
        (faster_than_can_be, r"latency_ms\.p50"),
    ],
    ids=[
        *("bundle", "simulated", "throughput", "field", "empty"),
        *("twice", "escape", "long", "hint", "digest", "memory", "speed"),
    ],
)
def test_what_is_not_of_these_variants_is_refused_with_what_to_do(
    change: Change, said: str, small_bundle: Path, on_a_pi: OnAPi
) -> None:
    with pytest.raises(InputError, match=said) as refused:
        compared(small_bundle, measured=[on_a_pi(change)])
    assert "edgesdk benchmark" in refused.value.hint or "Correct" in refused.value.hint


@pytest.mark.parametrize(
    "raw",
    [b"no JSON", b"\xff\xfe\xff", b'{"a":' * 100_000, b'{"digest": NaN}', b"[]"],
    ids=["text", "bytes", "nested", "nan", "list"],
)
def test_a_file_of_anything_else_is_refused(raw: bytes, small_bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(raw)
    with pytest.raises(InputError, match="nothing that `edgesdk benchmark --json` writes"):
        compared(small_bundle, measured=[path])


def test_a_file_larger_than_any_such_is_refused(small_bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(b" " * (1 << 24) + b"{}")
    with pytest.raises(InputError, match="larger than 16 MiB") as refused:
        compared(small_bundle, measured=[path])
    assert "edgesdk benchmark" in refused.value.hint


def test_a_time_that_is_no_number_and_a_folder_are_refused(small_bundle: Path, on_a_pi: OnAPi, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"latency_ms\.mean"):
        compared(small_bundle, measured=[on_a_pi(lambda d: d["variants"][0]["latency_ms"].update(mean=float("nan")))])
    with pytest.raises(InputError, match="cannot be read"):
        compared(small_bundle, measured=[tmp_path])
