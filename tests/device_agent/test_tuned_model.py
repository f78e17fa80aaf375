"""The agent loads the model as it was tuned; what the user sets himself is kept, and it starts whatever tuning gives."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesdk_agent import tuned_model
from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.config.then import ThenSection
from edgesdk_agent.summary import settings_summary
from edgesdk_agent.tuned_model import hint_of, load_second_model, load_tuned_model
from edgesdk_targets.core_claim import claim_cores
from edgesdk_targets.errors import InputError, SessionFailed
from edgesdk_targets.session import SessionOptions
from edgesdk_targets.target import Runtime
from edgesdk_targets.tuning.setting import Hint
from edgesdk_targets.tuning.tune import TunedOptions
from edgesdk_targets.tuning.tune_options import TuneOptions
from edgesdk_testkit.tiny_bundles import write_tiny_bundle
from edgesdk_testkit.tiny_models import CNN

for package in ("onnxruntime", "openvino"):
    pytest.importorskip(package)

OPENVINO, ONNX = "x86-cpu-openvino-fp32", "generic-onnx-onnxruntime-fp32"
LIVE = {"name": "door", "source": "rtsp://10.0.0.20/stream"}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AgentConfig]:
    locks = tmp_path / "locks"
    locks.mkdir()
    monkeypatch.setattr("edgesdk_targets.core_claim._shared_folder", lambda: locks)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    variants = (("x86-cpu", Runtime.OPENVINO), ("generic-onnx", Runtime.ONNXRUNTIME))
    path = write_tiny_bundle(tmp_path / "cnn.edgebundle", CNN, variants)

    def make(*cameras: dict[str, Any], variant: str = "", **pipeline: Any) -> AgentConfig:
        pipeline.setdefault("probe_timeout_s", 0)
        return AgentConfig(
            bundle=path,
            variant=variant,
            cameras=cameras or (LIVE,),
            pipeline=pipeline,  # type: ignore[arg-type]
        )

    return make


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Hint, TuneOptions]]:
    """Answer for the tuning, and note what it was asked."""
    asked: list[tuple[Hint, TuneOptions]] = []

    def answer(_bundle: object, hint: Hint, how: TuneOptions, *, options: SessionOptions) -> TunedOptions:
        asked.append((hint, how))
        return TunedOptions(ONNX, replace(options, threads=1, streams=2, pin=how.given.pins[-1]), "it is best")

    monkeypatch.setattr(tuned_model, "tuned_options", answer)
    return asked


@pytest.mark.parametrize(
    ("cameras", "hint"),
    [
        ([LIVE], Hint.AGE),
        ([{**LIVE, "mode": "every_frame"}], Hint.THROUGHPUT),
        ([{"name": "film", "source": __file__}], Hint.THROUGHPUT),
        ([{"name": "film", "source": __file__, "mode": "freshest"}], Hint.AGE),
        ([{"name": "film", "source": __file__, "live": True}], Hint.AGE),
        ([{"name": "film", "source": __file__}, LIVE], Hint.AGE),
        ([{"name": "usb", "source": "/dev/video0"}], Hint.AGE),
    ],
)
def test_what_the_model_is_run_for(
    config: Callable[..., AgentConfig], cameras: list[dict[str, Any]], hint: Hint
) -> None:
    assert hint_of(config(*cameras)) is hint


@pytest.mark.parametrize(
    ("variant", "runtime", "pinned"), [(ONNX, "onnxruntime", False), (OPENVINO, "openvino", True)], ids=str
)
def test_the_summary_tells_which_setting_was_taken(
    config: Callable[..., AgentConfig], monkeypatch: pytest.MonkeyPatch, variant: str, runtime: str, pinned: bool
) -> None:
    options = SessionOptions(threads=1, streams=2, pin=True)
    monkeypatch.setattr(tuned_model, "tuned_options", lambda *_, **__: TunedOptions(variant, options, "it is best"))
    with ExitStack() as stack:
        (told,) = settings_summary(load_tuned_model(config(LIVE, pin="on"), stack))
    # What its runtime cannot do is not said to have been done.
    taken = {"variant": variant, "runtime": runtime, "precision": "fp32", "threads": 1, "streams": 2, "pin": pinned}
    assert told == taken


@pytest.mark.parametrize("asked_for", ["latency", "throughput", "age"])
@pytest.mark.parametrize("tune", ["auto", "off"])
def test_the_model_is_run_for_what_the_configuration_names(
    config: Callable[..., AgentConfig],
    asked: list[tuple[Hint, TuneOptions]],
    monkeypatch: pytest.MonkeyPatch,
    asked_for: str,
    tune: str,
) -> None:
    opened: list[TunedOptions] = []
    load = tuned_model.load_tuned

    def noted(bundle: Any, tuned: TunedOptions, **how: Any) -> Any:
        opened.append(tuned)
        return load(bundle, tuned, **how)

    monkeypatch.setattr(tuned_model, "load_tuned", noted)
    with ExitStack() as stack:
        load_tuned_model(config(LIVE, hint=asked_for, tune=tune, pin="off"), stack)
    if tune == "auto":
        assert [hint for hint, _ in asked] == [Hint(asked_for)]
    else:
        assert opened[0].options.spin == Hint(asked_for).spin


def test_the_model_is_loaded_as_it_was_tuned_and_the_log_says_why(
    config: Callable[..., AgentConfig], asked: list[tuple[Hint, TuneOptions]], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), ExitStack() as stack:
        model = load_tuned_model(config({**LIVE, "fps": 12}), stack)
        assert model.variant.id == ONNX
        assert model.lanes == 2
    ((hint, how),) = asked
    assert (hint, how.fps) == (Hint.AGE, 12)
    assert how.cameras == 1
    assert how.variant is None
    assert how.given.pins == (False, True)
    assert "it is best" in caplog.text


def test_the_tuning_knows_how_many_cameras_share_the_model(
    config: Callable[..., AgentConfig], asked: list[tuple[Hint, TuneOptions]]
) -> None:
    with ExitStack() as stack:
        load_tuned_model(config(LIVE, {**LIVE, "name": "gate"}), stack)
    ((_, how),) = asked
    assert how.cameras == 2


def test_what_the_user_sets_is_kept(config: Callable[..., AgentConfig], asked: list[tuple[Hint, TuneOptions]]) -> None:
    with ExitStack() as stack:
        load_tuned_model(config(variant=ONNX, threads=1, streams=2, pin="off"), stack)
    ((_, how),) = asked
    assert (how.variant, how.given.threads, how.given.streams, how.given.pins) == (ONNX, 1, 2, (False,))


def _second(config: AgentConfig, **then: Any) -> ThenSection:
    return ThenSection(bundle=config.bundle, **then)


def test_the_second_model_of_a_chain_is_tuned_for_the_lanes_of_the_first(
    config: Callable[..., AgentConfig], asked: list[tuple[Hint, TuneOptions]], caplog: pytest.LogCaptureFixture
) -> None:
    settings = config({**LIVE, "fps": 12}, hint="throughput")
    with caplog.at_level(logging.INFO), ExitStack() as stack:
        first = load_tuned_model(settings, stack)
        second = load_second_model(settings, _second(settings), first, stack)
        # By the bundle's order it would be OpenVINO's.
        assert (second.variant.id, second.lanes) == (ONNX, first.lanes)
        assert second(np.zeros((32, 32, 3), np.uint8)) is not None
    (_, (hint, how)) = asked
    assert (hint, how.fps, how.given.streams, how.given.threads) == (Hint.THROUGHPUT, 12, first.lanes, 0)
    # The first one's threads may be held to any of the cores.
    assert how.given.pins == (False,)
    assert how.budget_s < TuneOptions().budget_s
    assert "Then tuned for throughput" in caplog.text


def test_what_the_user_sets_of_the_second_model_is_kept(
    config: Callable[..., AgentConfig], asked: list[tuple[Hint, TuneOptions]]
) -> None:
    with ExitStack() as stack:
        settings = config(threads=1, pin="off")
        first = load_tuned_model(settings, stack)
        load_second_model(settings, _second(settings, variant=ONNX, target="generic-onnx"), first, stack)
        off = config(tune="off")
        assert load_second_model(off, _second(off), first, stack).variant.id == OPENVINO
    (_, (_, how)) = asked
    assert (how.variant, how.target, how.given.threads) == (ONNX, "generic-onnx", 1)


def test_the_real_tuning_of_the_second_model_is_kept_apart_from_the_first_ones(
    config: Callable[..., AgentConfig], caplog: pytest.LogCaptureFixture
) -> None:
    settings = config(streams=2, pin="off", hint="throughput")
    for start in range(2):
        caplog.clear()
        with caplog.at_level(logging.INFO), ExitStack() as stack:
            first = load_tuned_model(settings, stack)
            # Another question about the same bundle: the first one's answer does not stand in for it.
            second = load_second_model(settings, _second(settings, variant=OPENVINO, target="x86-cpu"), first, stack)
            assert (second.variant.id, second.lanes) == (OPENVINO, 2)
        told = [one for one in caplog.messages if one.startswith("Then tuned for throughput")]
        assert len(told) == 1
        assert ("measured before" in told[0]) == bool(start)


def test_without_tuning_the_first_variant_is_taken(
    config: Callable[..., AgentConfig], asked: list[tuple[Hint, TuneOptions]]
) -> None:
    with ExitStack() as stack:
        model = load_tuned_model(config(tune="off", streams=2), stack)
        assert (model.variant.id, model.lanes) == (OPENVINO, 2)
    assert asked == []


@pytest.mark.parametrize("tune", ["off", "auto"])
def test_what_is_compiled_is_kept_for_the_next_start(
    config: Callable[..., AgentConfig], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tune: str
) -> None:
    import openvino

    settings = config(variant=OPENVINO, tune=tune, threads=1, streams=1, pin="off")
    with ExitStack() as stack:
        load_tuned_model(settings, stack)
    assert any((tmp_path / "cache/edgesdk/openvino").iterdir())
    monkeypatch.setattr(openvino.Core, "compile_model", None)
    with ExitStack() as stack:
        assert load_tuned_model(settings, stack).variant.id == OPENVINO


def test_the_claim_is_held_as_long_as_the_agent_runs(
    config: Callable[..., AgentConfig], asked: list[tuple[Hint, TuneOptions]]
) -> None:
    with ExitStack() as stack:
        load_tuned_model(config(), stack)
        assert claim_cores() is None
        # A second agent on this machine does not try to pin.
        load_tuned_model(config(), stack)
        assert asked[1][1].given.pins == (False,)
    with claim_cores() or pytest.fail("still held"):
        pass


def test_a_claim_that_is_not_used_is_given_back(config: Callable[..., AgentConfig]) -> None:
    with ExitStack() as stack:
        load_tuned_model(config(tune="off", pin="off"), stack)
        with claim_cores() or pytest.fail("held for nothing"):
            pass


def test_a_tuned_variant_that_does_not_load_leaves_the_agent_with_the_first(
    config: Callable[..., AgentConfig], asked: list[tuple[Hint, TuneOptions]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_load: object) -> None:
        raise SessionFailed("no kernel for this")

    monkeypatch.setattr("edgesdk_targets.runtimes.onnxruntime.open_session", refuse)
    with ExitStack() as stack:
        assert load_tuned_model(config(), stack).variant.id == OPENVINO


def test_the_real_tuning_of_the_real_agent(
    config: Callable[..., AgentConfig], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), ExitStack() as stack:
        model = load_tuned_model(config(threads=1, streams=1, pin="off"), stack)
        assert model.lanes == 1
        assert "Tuned for age on" in caplog.text
        assert model.variant.id in caplog.text


def test_more_threads_than_the_device_can_have_are_refused_before_anything_is_tried(
    config: Callable[..., AgentConfig],
) -> None:
    # A runtime would take minutes for one answer, and look as if it hung.
    most = 4 * len(os.sched_getaffinity(0))
    with ExitStack() as stack, pytest.raises(InputError, match=f"pipeline.threads {most + 1} and") as refused:
        load_tuned_model(config(threads=most + 1), stack)
    assert f"at most {most} in all" in refused.value.hint
