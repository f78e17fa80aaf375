from __future__ import annotations

from pathlib import Path

import pytest

from edgesdk_targets import variant_choice
from edgesdk_targets.bundle.manifest import Manifest
from edgesdk_targets.errors import WrongTarget
from edgesdk_targets.session import RUNTIMES, is_installed
from edgesdk_targets.target import Runtime
from edgesdk_targets.variant_choice import Choice, Host, choose_variants, this_host
from edgesdk_testkit.tiny_bundles import tiny_manifest, tiny_variant
from edgesdk_testkit.tiny_models import CNN

ORT, OV, LITERT, TRT = Runtime.ONNXRUNTIME, Runtime.OPENVINO, Runtime.LITERT, Runtime.TENSORRT
PC = Host("x86-cpu", "x86_64")
PI = Host("rpi5", "aarch64")
JETSON = Host("jetson-orin-nano", "aarch64")
SERVER = Host(None, "aarch64")


def manifest(*made_for: tuple[str, Runtime]) -> Manifest:
    one = tiny_variant(CNN, "generic-onnx", ORT)[0]
    variants = [
        one.model_copy(update={"id": f"{target}-{runtime.value}", "target": target, "runtime": runtime})
        for target, runtime in made_for
    ]
    return tiny_manifest(CNN, variants)


ALL = manifest(("jetson-orin-nano", TRT), ("rpi5", LITERT), ("x86-cpu", OV), ("generic-onnx", ORT))


def choose(
    of: Manifest, host: Host, *installed: Runtime, target: str | None = None, variant_id: str | None = None
) -> Choice:
    runtimes = installed or tuple(Runtime)
    return choose_variants(of, target=target, variant_id=variant_id, host=host, installed=lambda r: r in runtimes)


def best(choice: Choice) -> tuple[str, Runtime]:
    return choice.candidates[0].variant.target, choice.candidates[0].runtime


class TestWithoutATarget:
    @pytest.mark.parametrize(
        ("host", "expected"),
        [
            (PC, ("x86-cpu", OV)),
            (PI, ("rpi5", LITERT)),
            (JETSON, ("jetson-orin-nano", TRT)),
            (SERVER, ("jetson-orin-nano", TRT)),
        ],
    )
    def test_this_kind_of_machine_comes_first(self, host: Host, expected: tuple[str, Runtime]) -> None:
        assert best(choose(ALL, host)) == expected

    def test_then_what_its_runtimes_can_run(self) -> None:
        assert best(choose(ALL, PC, ORT)) == ("generic-onnx", ORT)
        assert best(choose(ALL, PC, LITERT)) == ("rpi5", LITERT)

    def test_an_own_architecture_goes_before_another(self) -> None:
        assert best(choose(manifest(("rpi5", LITERT), ("generic-onnx", ORT)), PC)) == ("generic-onnx", ORT)
        assert best(choose(manifest(("x86-cpu", OV), ("rpi4", LITERT)), PI)) == ("rpi4", LITERT)

    def test_among_equals_the_bundles_order_decides(self) -> None:
        two = manifest(("x86-cpu", LITERT), ("x86-cpu", OV))
        assert best(choose(two, PC)) == ("x86-cpu", LITERT)

    def test_tensorrts_onnx_is_run_by_onnx_runtime_where_tensorrt_is_absent(self) -> None:
        only = manifest(("jetson-orin-nano", TRT))
        assert best(choose(only, PC, ORT)) == ("jetson-orin-nano", ORT)
        assert best(choose(only, JETSON, ORT, TRT)) == ("jetson-orin-nano", TRT)

    def test_a_runtime_of_its_own_goes_before_a_substitute(self) -> None:
        both = manifest(("jetson-orin-nano", TRT), ("jetson-orin-nano", ORT))
        assert best(choose(both, JETSON, ORT))[1] is ORT
        assert choose(both, JETSON, ORT).candidates[0].variant.runtime is ORT

    def test_a_target_of_the_users_own_runs_anywhere(self) -> None:
        assert best(choose(manifest(("my-board", ORT)), PC)) == ("my-board", ORT)


class TestReasons:
    def test_every_variant_is_chosen_or_has_a_reason(self) -> None:
        choice = choose(ALL, PC, OV, ORT)
        chosen = choice.candidates[0].variant.id
        reasons = dict(choice.rejected)
        assert {chosen, *reasons} == {variant.id for variant in ALL.variants}
        assert "pip install 'edgesdk[litert]'" in reasons["rpi5-litert"]
        assert "x86-cpu is closer" in reasons["generic-onnx-onnxruntime"]
        assert all(reasons.values())

    def test_the_order_is_a_reason(self) -> None:
        reasons = dict(choose(manifest(("x86-cpu", LITERT), ("x86-cpu", OV)), PC).rejected)
        assert "comes first" in reasons["x86-cpu-openvino"]

    def test_a_substitute_says_why_it_is_one(self) -> None:
        only = manifest(("jetson-orin-nano", TRT))
        (variant,) = only.variants
        assert choose(only, PC, ORT).rejected == (
            (f"{variant.id} by tensorrt", "tensorrt is not installed (pip install 'edgesdk[tensorrt]')"),
        )
        assert choose(only, JETSON, ORT, TRT).rejected == ()

    def test_how_it_ended_replaces_what_was_planned(self) -> None:
        """The first choice fails, its substitute and the next variant are still in line; each is told once."""
        both = manifest(("jetson-orin-nano", TRT), ("generic-onnx", ORT), ("rpi5", LITERT))
        planned = choose(both, JETSON, ORT, TRT)
        first, substitute, other = planned.candidates
        failure = (f"{first.variant.id} by tensorrt", "no memory")
        ended = planned.taken(substitute, (failure,), (("CUDA", "it did not start"),))
        assert ended.failed == (failure,)
        assert [name for name, _ in ended.rejected] == [
            failure[0],
            f"{first.variant.id} by onnxruntime's CUDA",
            "rpi5-litert",
            other.variant.id,
        ]
        last = ended.taken(other, (failure,))
        assert [name for name, _ in last.rejected] == [failure[0], "rpi5-litert"]


class TestAskedFor:
    def test_a_target_takes_only_its_own(self) -> None:
        choice = choose(ALL, PC, target="rpi5")
        assert [c.variant.target for c in choice.candidates] == ["rpi5"]
        assert dict(choice.rejected)["x86-cpu-openvino"] == "made for x86-cpu, not rpi5"
        assert choice.not_asked_for == {v.id for v in ALL.variants} - {"rpi5-litert"}
        assert not choose(ALL, PC).not_asked_for

    @pytest.mark.parametrize("alias", ["jetson", "orin-nano", "jetson_orin_nano"])
    def test_by_an_alias(self, alias: str) -> None:
        assert best(choose(ALL, PC, target=alias))[0] == "jetson-orin-nano"

    def test_a_variant(self) -> None:
        assert best(choose(ALL, PC, variant_id="rpi5-litert")) == ("rpi5", LITERT)


class TestWrongTarget:
    def message(self, *installed: Runtime, target: str | None = None, variant_id: str | None = None) -> str:
        with pytest.raises(WrongTarget) as raised:
            choose(ALL, PC, *installed, target=target, variant_id=variant_id)
        assert "generic-onnx" in raised.value.hint
        return raised.value.message

    def test_no_variant_for_it(self) -> None:
        message = self.message(target="rpi4")
        assert "'rpi4'" in message
        assert "made for x86-cpu, not rpi4" in message

    @pytest.mark.parametrize(
        ("asked", "meant"),
        [
            ({"variant_id": "rpi5-litrt"}, "rpi5-litert"),
            ({"target": "my-bord"}, None),
            ({"target": "x86-cpuu"}, "x86-cpu"),
        ],
    )
    def test_a_name_that_nothing_has_is_told_shortly(self, asked: dict[str, str], meant: str | None) -> None:
        with pytest.raises(WrongTarget) as raised:
            choose(ALL, PC, **asked)
        (name,) = asked.values()
        assert raised.value.message.endswith(f"{name!r}.")
        assert not any(variant.id in raised.value.message for variant in ALL.variants)
        assert raised.value.hint.startswith(
            f"Did you mean {meant!r}? The bundle has: " if meant else "The bundle has: "
        )

    def test_a_variant_whose_runtime_is_absent_gives_only_its_own_reason(self) -> None:
        message = self.message(ORT, variant_id="rpi5-litert")
        assert "litert is not installed" in message
        assert "x86-cpu" not in message

    def test_no_such_variant(self) -> None:
        assert "'other'" in self.message(variant_id="other")

    def test_target_and_variant_that_contradict_each_other(self) -> None:
        assert "x86-cpu-openvino: made for x86-cpu, not rpi5." in self.message(
            target="rpi5", variant_id="x86-cpu-openvino"
        )

    def test_nothing_installed(self) -> None:
        with pytest.raises(WrongTarget) as raised:
            choose_variants(ALL, host=PC, installed=lambda runtime: False)
        for runtime in Runtime:
            assert f"{runtime.value} is not installed" in raised.value.message


class TestThisHost:
    @pytest.mark.parametrize(
        ("machine", "board", "expected"),
        [
            ("aarch64", "Raspberry Pi 5 Model B Rev 1.0\0", PI),
            ("aarch64", "NVIDIA Jetson Orin Nano Developer Kit\0", JETSON),
            ("aarch64", "NVIDIA Jetson AGX Orin\0", Host("jetson-agx-orin", "aarch64")),
            ("arm64", "", SERVER),
            ("x86_64", "", PC),
            ("AMD64", "", PC),
            ("riscv64", "", Host(None, "riscv64")),
        ],
    )
    def test_reads_the_board(
        self, machine: str, board: str, expected: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = tmp_path / "model"
        if board:
            file.write_text(board)
        monkeypatch.setattr(variant_choice, "_DEVICE_TREE", file)
        monkeypatch.setattr(variant_choice.platform, "machine", lambda: machine)
        assert this_host() == expected


def test_a_runtime_is_looked_for_without_importing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if name == "tflite_runtime" else None)
    assert is_installed(LITERT)
    assert not is_installed(OV)
    assert set(RUNTIMES) == set(Runtime)
