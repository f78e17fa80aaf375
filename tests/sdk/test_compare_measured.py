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
from edgesdk.comparison.device_times import device_times
from edgesdk.comparison.parts import VariantPart
from edgesdk_targets.bundle.bundle import open_bundle, write_bundle
from edgesdk_targets.errors import InputError
from edgesdk_targets.target import Precision, Runtime
from edgesdk_targets.together.spec import Member, Rule, Together
from edgesdk_testkit.labelled_pictures import write_labelled
from edgesdk_testkit.tiny_bundles import tiny_manifest, tiny_variant, write_tiny_bundle
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
        document["variants"][0] |= {"status": "measured", "rss_bytes": 123_000_000, "notes": []}
        document["variants"][0]["warm_up"]["steady"] = True
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
    change: Callable[[Document], object], said: str, bundle: Path, on_a_pi: Callable[..., Path]
) -> None:
    with pytest.raises(InputError, match=said) as refused:
        compared(bundle, measured=[on_a_pi(change)])
    assert "edgesdk benchmark" in refused.value.hint or "Correct" in refused.value.hint


def with_one(document: Document) -> None:
    # The row that is not of the device has no say in how many threads its times are of.
    document["variants"] = [{**document["variants"][0], "variant": "another", "threads": 9}, document["variants"][0]]
    document["variants"][1]["threads"] = 1


@pytest.mark.parametrize(
    "raw",
    [b"no JSON", b"\xff\xfe\xff", b" " * (1 << 24) + b"{}", b'{"a":' * 100_000, b'{"digest": NaN}', b"[]"],
    ids=["text", "bytes", "large", "nested", "nan", "list"],
)
def test_a_file_of_anything_else_is_refused(raw: bytes, bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(raw)
    with pytest.raises(InputError, match="nothing that `edgesdk benchmark --json` writes"):
        compared(bundle, measured=[path])


def test_a_time_that_is_no_number_and_a_folder_are_refused(
    bundle: Path, on_a_pi: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"latency_ms\.mean"):
        compared(bundle, measured=[on_a_pi(lambda d: d["variants"][0]["latency_ms"].update(mean=float("nan")))])
    with pytest.raises(InputError, match="cannot be read"):
        compared(bundle, measured=[tmp_path])


def test_a_cascade_costs_its_mean(bundle: Path, on_a_pi: Callable[..., Path]) -> None:
    def skewed(document: Document) -> None:
        document["variants"][0]["latency_ms"] |= {"p50": 5.0, "mean": 9.0}

    with open_bundle(bundle) as opened:
        variant = next(one for one in opened.manifest.variants if one.id == RPI5)
        shape: Any = {name: getattr(variant, name) for name in ("id", "precision", "inputs", "outputs")}
        member = Member(name="m", version="1.0.0", digest="sha256:0", mean=(0.0,), std=(1.0,), **shape)
        costs: tuple[tuple[Rule, float], ...] = (("cascade", 9.0), ("average", 5.0))
        for rule, ms in costs:
            together = Together(rule=rule, members=(member, member), threshold=0.5)
            part = VariantPart(opened, variant.model_copy(update={"together": together}), Runtime.LITERT)
            assert device_times([on_a_pi(skewed)], {"one": part}).times["one"].ms == ms


def test_an_int8_that_is_slower_on_the_device_is_not_taken_unless_its_time_was_not_steady(
    on_a_pi: Callable[..., Path], tmp_path: Path
) -> None:
    floats, files = tiny_variant(CNN, "rpi5", Runtime.LITERT)
    int8 = floats.model_copy(update={"id": "rpi5-litert-int8", "precision": Precision.INT8})
    path = tmp_path / "both.edgebundle"
    write_bundle(path, tiny_manifest(CNN, [floats, int8]), files)
    with open_bundle(path) as opened:
        digest = opened.digest

    def measured(ms: float, *, steady: bool = True) -> Path:
        def change(document: Document) -> None:
            row = document["variants"][0]
            other = {**row, "variant": int8.id, "latency_ms": {**row["latency_ms"], "p50": ms}}
            notes = [] if steady else ["not steady\x1b after 5.0 s", "x" * 10_000]
            document["variants"] = [row, {**other, "warm_up": {"steady": steady}, "notes": notes}]
            document["digest"] = digest

        return on_a_pi(change)

    def slower(file: Path) -> list[str]:
        return [entry.name for entry in compared(path, measured=[file]).entries if entry.slower_than]

    assert slower(measured(100.0)) == [int8.id]
    assert slower(measured(80.0)) == []  # the float took 77: that much two runs may differ
    assert slower(measured(100.0, steady=False)) == []
    (about,) = compared(path, measured=[measured(100.0, steady=False)]).devices
    assert f"{floats.id}, {int8.id} (not steady) on Cortex-A76" in about
    assert f"; {int8.id}: not steady  after 5.0 s; " in about
    assert len(about) < 1000


def test_what_does_not_run_here_is_taken_by_its_time_but_not_where_figures_decide(
    on_a_pi: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_labelled(tmp_path / "data", 5)
    variants = (("generic-onnx", Runtime.ONNXRUNTIME), ("rpi5", Runtime.LITERT))
    broken = {f"models/{RPI5}/model.tflite": b"no model"}
    path = write_tiny_bundle(tmp_path / "broken.edgebundle", CNN, variants, broken)
    with open_bundle(path) as opened:
        digest = opened.digest
    measured = [on_a_pi(lambda document: document.update(digest=digest))]
    assert compared(path, measured=measured).choice.name == RPI5
    found = compared(path, measured=measured, data=data)
    assert found.choice.name is None
    assert any(f"{RPI5}: its accuracy is not known: " in line for line in found.choice.passed_over)
    # With --data and nothing that could be asked, it is no choice by speed alone.
    words = ["compare", f"{path}:{RPI5}", "--measured", str(measured[0]), "--data", str(data)]
    assert run(words) == 4
    refused = capsys.readouterr().err
    assert "None of these runs here" in refused
    assert f"\n{RPI5}: " in refused
    assert "leave --data out" in refused
    assert run(words[:-2]) == 0


def test_one_device_at_a_time_and_each_variant_once(bundle: Path, on_a_pi: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="another file does too"):
        compared(bundle, measured=[on_a_pi(), on_a_pi(name="again.json")])
    other = write_tiny_bundle(tmp_path / "wide.edgebundle", WIDE, (("rpi5", Runtime.LITERT),))
    with open_bundle(other) as opened:
        digest = opened.digest

    def elsewhere(document: Document) -> None:
        document["digest"] = digest
        document["host"] |= {"target": None, "cpu": "Cortex-A72"}

    with pytest.raises(InputError, match=r"of rpi5: Cortex-A76, .* and of Cortex-A72, "):
        compared(bundle, other, measured=[on_a_pi(), on_a_pi(elsewhere, "other.json")])

    # `x86-cpu` is every PC: another processor, or another number of its cores, is another machine.
    def on_a_pc(cpu: str, cores: int) -> Callable[[Document], None]:
        return lambda document: document["host"].update({"target": "x86-cpu", "cpu": cpu, "cores": cores})

    def of_other(change: Callable[[Document], None]) -> Callable[[Document], None]:
        def both(document: Document) -> None:
            document["digest"] = digest
            change(document)

        return both

    xeon = on_a_pi(on_a_pc("Xeon", 8))
    for cpu, cores in (("Atom", 8), ("Xeon", 2)):
        atom = on_a_pi(of_other(on_a_pc(cpu, cores)), "other.json")
        with pytest.raises(InputError, match=f"of x86-cpu: Xeon, .* 8 cores and of x86-cpu: {cpu}, .* {cores} cores"):
            compared(bundle, other, measured=[xeon, atom])

    def with_four(document: Document) -> None:
        document["digest"] = digest
        document["variants"][0]["threads"] = 4

    with pytest.raises(InputError, match=r"1 thread, .* with 4 threads"):
        compared(bundle, other, measured=[on_a_pi(with_one), on_a_pi(with_four, "other.json")])
    alike = compared(bundle, other, measured=[on_a_pi(with_one), on_a_pi(of_other(with_one), "other.json")])
    assert [line.count(", 1 thread,") for line in alike.devices] == [1, 1]
    with pytest.raises(InputError, match="cannot be read"):
        compared(bundle, measured=[tmp_path / "none.json"])


def test_times_of_two_machines_are_on_no_common_front() -> None:
    here = Entry("here", "m", None, 10, "measured", ms=1.0)
    there = Entry("there", "m", None, 20, "measured", ms=9.0, device="rpi5")
    assert front([here, there]) == ["there"]
    assert front([here]) == ["here"]
    assert pick([here, there], max_drop=0.01).name == "there"
