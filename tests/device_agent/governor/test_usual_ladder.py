"""The ladder that nobody wrote: a real bundle's own cheaper variants between frames and cameras, taken and given back."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from edgesdk_agent.cameras.catalogue import open_camera
from edgesdk_agent.config.loading import load_config
from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.embedding import Pipeline
from edgesdk_agent.governor.agent_governor import AgentGovernor
from edgesdk_agent.governor.held_model import HeldModel
from edgesdk_agent.governor.ladder import USUAL_LADDER
from edgesdk_agent.governor.usual_ladder import cheaper_in_turn, usual_ladder
from edgesdk_agent.health.facts import Facts
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.bundle.manifest import Variant
from edgesdk_targets.errors import InputError
from edgesdk_targets.model import load_model
from edgesdk_targets.target import Precision, Runtime
from edgesdk_targets.tensor import TensorSpec
from edgesdk_testkit.slots import wait_until

HOT = Facts(at=0.0, uptime_s=1.0, temperature_c=99.0, age_p95_ms=10.0)
FLOAT, INT8 = "generic-onnx-onnxruntime-fp32", "generic-onnx-onnxruntime-int8"


@pytest.fixture(scope="module")
def bundle(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample classifier, converted twice over."""
    from edgesdk_converters.convert import convert

    camera = open_camera("conveyor:?frames=8&live=0")
    pictures = [np.empty((camera.info.height, camera.info.width, 3), np.uint8) for _ in range(8)]
    for picture in pictures:
        camera.read(picture)
    card, folder = root / "examples/digits/classifier.yaml", tmp_path_factory.mktemp("digits")
    made = convert(
        card, "generic-onnx", precision=["fp32", "int8"], calib_data=pictures, calib_count=8, output=folder / "b"
    )
    return made.path


def _config(bundle: Path, **flags: object) -> AgentConfig:
    cameras = [{"name": "camera", "source": "synthetic:?fps=60", "live": True}]
    given = {
        "bundle": str(bundle),
        "cameras": cameras,
        "governor.enabled": True,
        "pipeline.probe_timeout_s": 0,
        **flags,
    }
    return load_config(None, flags=given, environment={}, no_mqtt=True).config


def test_the_cheaper_variant_of_the_sample_takes_over_under_strain_and_gives_way_again(bundle: Path) -> None:
    taken: list[str] = []
    events: list[str] = []
    camera = open_camera("synthetic:?fps=60", live=True)
    with (
        load_model(bundle, variant=FLOAT) as model,
        Pipeline(model, {"camera": camera}, on_result=lambda _: None) as pipeline,
    ):
        governor = AgentGovernor(
            _config(bundle),
            pipeline,
            HeldModel(pipeline, model),
            lambda: {"camera": 60.0},
            lambda name, _severity, message, **_: events.append(f"{name} {message}"),
            lambda one: taken.append(one.variant.id),
        )
        assert governor.status()["ladder"] == [
            "half the frames", "a quarter of the frames", f"the variant {INT8}", "one camera less", "one frame in ten",
        ]  # fmt: skip
        for at in (0.0, 10.0, 30.0, 50.0):
            governor.look(replace(HOT, at=at))
        wait_until(lambda: taken == [INT8], "the cheaper variant")
        before = pipeline.stats().processed
        wait_until(lambda: pipeline.stats().processed > before + 3, "results of it")
        for at in (51.0, 112.0):
            governor.look(replace(HOT, at=at, temperature_c=40.0))
        wait_until(lambda: taken == [INT8, FLOAT], "the model of the start")
        stats = pipeline.stop()
    governor.close()
    assert [event.split()[0] for event in events] == ["governor_down"] * 3 + ["governor_up"]
    assert stats.captured == stats.processed + sum(stats.dropped.values())


def test_what_the_user_asked_for_is_not_replaced_by_something_else(bundle: Path) -> None:
    with open_bundle(bundle) as one:
        manifest = one.manifest
    whole, narrow = manifest.variants
    assert [rung.variant for rung in usual_ladder(manifest, whole) if rung.variant] == [narrow.id]
    assert usual_ladder(manifest, whole, variant=whole.id) == USUAL_LADDER
    assert usual_ladder(manifest, narrow) == USUAL_LADDER, "nothing is cheaper than the cheapest"
    assert usual_ladder(manifest, whole, target="rpi5") == USUAL_LADDER


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"governor.important": ["gate"]}, "camera 'gate'.*One of camera"),
        ({"governor.ladder": [{"rate": 0.5}, {"variant": "small"}]}, rf"ladder\[1\].*'small'.*{FLOAT}"),
    ],
    ids=["camera", "variant"],
)
def test_a_name_that_there_is_not_is_refused_at_the_start(bundle: Path, section: dict[str, object], said: str) -> None:
    def governor(**flags: object) -> AgentGovernor:
        nobody = partial(AgentGovernor, fps=dict, tell=lambda *_, **__: None, taken=lambda _: None)
        return nobody(_config(bundle, **flags), pipeline, HeldModel(pipeline, model))

    camera = open_camera("synthetic:?fps=60", live=True)
    with (
        load_model(bundle, variant=FLOAT) as model,
        Pipeline(model, {"camera": camera}, on_result=lambda _: None) as pipeline,
    ):
        governor(**{"governor.important": ["camera"], "governor.ladder": [{"variant": INT8}]}).close()
        with pytest.raises(InputError) as refused:
            governor(**section)
    assert re.search(said, f"{refused.value.message} {refused.value.hint}")


def test_another_model_brings_another_ladder_and_what_is_given_up_stays_so(bundle: Path) -> None:
    camera = open_camera("synthetic:?fps=60", live=True)
    with (
        load_model(bundle, variant=FLOAT) as model,
        load_model(bundle, variant=INT8) as narrow,
        Pipeline(model, {"camera": camera}, on_result=lambda _: None) as pipeline,
    ):
        held = HeldModel(pipeline, model)
        governor = AgentGovernor(
            _config(bundle), pipeline, held, lambda: {"camera": 60.0}, lambda *_, **__: None, lambda _: None
        )
        for at in (0.0, 10.0, 30.0):
            governor.look(replace(HOT, at=at))
        told_of: list[object] = []
        pipeline.on_model = told_of.append
        with held.held():
            pipeline.swap_model(narrow)
            governor.model_replaced(narrow, bundle, _config(bundle), idle=True)
        governor.look(replace(HOT, at=31.0))
        told = governor.status()
        pipeline.stop()
    governor.close()
    assert told_of == [narrow]
    assert told["gives_up"] == ["half the frames", "a quarter of the frames"]
    assert INT8 not in str(told["ladder"])


def _variant(name: str, side: int, precision: Precision, computed: str = "f32") -> Variant:
    spec = TensorSpec(name="image", shape=(1, 3, side, side), dtype="float32", layout="NCHW")
    return Variant(
        id=name,
        target="x86-cpu",
        runtime=Runtime.OPENVINO,
        precision=precision,
        effective_precision=computed,
        files={"model": name},
        inputs=(spec,),
        outputs=(spec,),
    )


BIG = _variant("big", 64, Precision.FP32)
BIG_HALF = _variant("big-half", 64, Precision.FP16, "f16")
BIG_STORED = _variant("big-stored", 64, Precision.FP16)
BIG_INT8 = _variant("big-int8", 64, Precision.INT8)
SMALL = _variant("small", 32, Precision.FP32)
SMALL_INT8 = _variant("small-int8", 32, Precision.INT8)
TINY = _variant("tiny", 16, Precision.FP32)


@pytest.mark.parametrize(
    ("running", "others", "steps"),
    [
        (BIG, [BIG, BIG_INT8, BIG_HALF, BIG_STORED], ["big-half", "big-int8"]),
        (BIG, [TINY, SMALL, BIG_HALF], ["small", "tiny"]),
        (BIG, [SMALL_INT8, SMALL], ["small", "small-int8"]),
        (BIG, [SMALL_INT8, TINY], ["small-int8"]),
        (SMALL, [BIG, BIG_INT8], []),
        (BIG, [], []),
    ],
)
def test_smaller_inputs_come_first_and_each_step_costs_less_than_the_last(
    running: Variant, others: list[Variant], steps: list[str]
) -> None:
    assert [one.id for one in cheaper_in_turn(running, others)] == steps
