"""Times of the device in the place of this host's: whose they are is told, and a file of something else is refused."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edgesdk
from edgesdk.benchmark.contest import Bounds, Entry, front
from edgesdk.benchmark.contest_choice import pick
from edgesdk.cli.app import run
from edgesdk.comparison.compare import Comparison
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.errors import InputError
from edgesdk_targets.target import Runtime
from edgesdk_testkit.labelled_pictures import write_labelled
from edgesdk_testkit.tiny_bundles import write_tiny_bundle
from edgesdk_testkit.tiny_models import CNN, WIDE

RPI5, ONNX = "rpi5-litert-fp32", "generic-onnx-onnxruntime-fp32"
Document = dict[str, Any]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    variants = (("generic-onnx", Runtime.ONNXRUNTIME), ("rpi5", Runtime.LITERT))
    return write_tiny_bundle(tmp_path_factory.mktemp("measured") / "small.edgebundle", CNN, variants)


@pytest.fixture(scope="module")
def benchmarked(bundle: Path) -> str:
    """What the command really writes; of this host, whatever it is."""
    with contextlib.redirect_stdout(out := io.StringIO()):
        assert run(["benchmark", str(bundle), "--target", "rpi5", "--duration", "0.05", "--json"]) == 0
    return out.getvalue()


@pytest.fixture
def on_a_pi(benchmarked: str, tmp_path: Path) -> Callable[..., Path]:
    """Return what writes that document as if it were of a Raspberry Pi 5, changed."""

    def write(change: Callable[[Document], object] = lambda _document: None, name: str = "pi.json") -> Path:
        document: Document = json.loads(benchmarked)
        document["host"] |= {"target": "rpi5", "cpu": "Cortex-A76", "warnings": ["it is hot"]}
        document["variants"][0] |= {"status": "measured", "rss_bytes": 123_000_000}
        document["variants"][0]["latency_ms"]["p50"] = 77.0
        change(document)
        (tmp_path / name).write_text(json.dumps(document))
        return tmp_path / name

    return write


def compared(*bundles: Path, **options: Any) -> Comparison:
    return edgesdk.compare(bundles, threads=1, rounds=1, slice_s=0.01, **options)


def test_the_devices_time_takes_the_place_of_this_hosts(
    bundle: Path, on_a_pi: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    data = write_labelled(tmp_path / "data", 5)
    words = ["compare", bundle, "--measured", on_a_pi(), "--data", data, "--rounds", 1, "--slice", 0.01]
    assert run([*map(str, words), "--report", str(page)]) == 0
    shown = capsys.readouterr()
    row = next(line for line in shown.out.splitlines() if RPI5 in line)
    assert re.search(r"\b77\b.* 123 MB .* measured +rpi5$", row.rstrip())
    assert next(line for line in shown.out.splitlines() if ONNX in line).rstrip().endswith("this host")
    assert f"Take {RPI5}: the only one that fits; timed on rpi5." in shown.out
    assert f"not {ONNX}: it was timed on this host, and others on rpi5" in shown.err
    assert re.search(rf"measured: pi\.json: {RPI5} on Cortex-A76, .* it is hot", shown.err)
    assert "timed on" in page.read_text("utf-8")
    assert "Not so pi.json" in page.read_text("utf-8")
    # Both are asked about the pictures here: what they answer does not hang on where they are timed.
    found = compared(bundle, measured=[on_a_pi()], data=data).to_json()
    entries: Any = found["entries"]
    assert {one["variant"]: (one["device"], one["metric"]["value"]) for one in entries} == {
        ONNX: (None, 1.0),
        RPI5: ("rpi5", 1.0),
    }
    assert entries[0]["ms"] < 77 == entries[1]["ms"]


def test_limits_are_judged_by_the_devices_time(bundle: Path, on_a_pi: Callable[..., Path]) -> None:
    found = compared(bundle, target="rpi5", measured=[on_a_pi()], bounds=Bounds(ms=50.0))
    assert found.choice.name is None
    assert found.entries[0].misses == ("77 ms > 50 ms (--max-ms)",)
    assert "None ran on rpi5 within the limits" in found.choice.why


def of_another_bundle(document: Document) -> None:
    document["digest"] = "sha256:" + "0" * 64


def simulated(document: Document) -> None:
    document["variants"][0]["status"] = "simulated"


def several_at_a_time(document: Document) -> None:
    document["variants"][0]["hint"] = "throughput"


def without_a_time(document: Document) -> None:
    document["variants"][0]["latency_ms"] = {"p50": 0, "mean": "much"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (of_another_bundle, "was measured with another bundle: that is sha256:000000000000…"),
        (simulated, "rpi5-litert-fp32 is simulated, on Cortex-A76"),
        (several_at_a_time, "--hint throughput"),
        (without_a_time, r"latency_ms\.p50"),
        (dict.clear, "nothing that `edgesdk benchmark --json` writes"),
    ],
    ids=["bundle", "simulated", "throughput", "field", "empty"],
)
def test_what_is_not_of_these_variants_is_refused_with_what_to_do(
    change: Callable[[Document], object], said: str, bundle: Path, on_a_pi: Callable[..., Path]
) -> None:
    with pytest.raises(InputError, match=said) as refused:
        compared(bundle, measured=[on_a_pi(change)])
    assert "edgesdk benchmark" in refused.value.hint or "Correct" in refused.value.hint


def test_one_device_at_a_time_and_each_variant_once(bundle: Path, on_a_pi: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="another file does too"):
        compared(bundle, measured=[on_a_pi(), on_a_pi(name="again.json")])
    other = write_tiny_bundle(tmp_path / "wide.edgebundle", WIDE, (("rpi5", Runtime.LITERT),))
    with open_bundle(other) as opened:
        digest = opened.digest

    def elsewhere(document: Document) -> None:
        document["digest"] = digest
        document["host"] |= {"target": None, "cpu": "Cortex-A72"}

    with pytest.raises(InputError, match="of rpi5 and Cortex-A72"):
        compared(bundle, other, measured=[on_a_pi(), on_a_pi(elsewhere, "other.json")])
    with pytest.raises(InputError, match="cannot be read"):
        compared(bundle, measured=[tmp_path / "none.json"])


def test_times_of_two_machines_are_on_no_common_front() -> None:
    here = Entry("here", "m", None, 10, "measured", ms=1.0)
    there = Entry("there", "m", None, 20, "measured", ms=9.0, device="rpi5")
    assert front([here, there]) == ["there"]
    assert front([here]) == ["here"]
    assert pick([here, there], max_drop=0.01).name == "there"
