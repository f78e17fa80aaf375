"""A desired state that fails is retained at the broker, and must not make the agent start again for ever."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from edgesdk_targets.bundle.bundle import open_bundle, write_bundle
from edgesdk_testkit.agent_process import AgentProcess
from edgesdk_testkit.steered_site import Site, site

pytestmark = pytest.mark.system

ONE = "  - {name: belt, source: 'conveyor:?fps=20', require_at_start: true}"
NOWHERE = {"cameras[0].source": "/nowhere/at/all.mp4"}


def _refused(here: Site, since: int = 0) -> dict[str, str]:
    """Wait until settings are refused for good, and return what is refused and why."""

    def last(all_: list[Any]) -> list[dict[str, Any]]:
        said = [h.body for h in all_ if h.channel == "up/reported"][since:]
        return [body for body in said if any("not tried again" in one["why"] for one in body["refused"])]

    body = last(here.heard(lambda all_: bool(last(all_))))[-1]
    assert body["pending"] == []
    return {one["what"]: one["why"] for one in body["refused"]}


def _fails_when_it_sees(source: Path, path: Path) -> Path:
    """Write the bundle with a model that loads, answers to an empty picture, and fails with any other."""
    import onnx
    from onnx import TensorProto, helper

    with open_bundle(source) as bundle:
        files = {name: bundle.read(name) for name in bundle.manifest.files if not name.startswith("golden/")}
        variants = [one for one in bundle.manifest.variants if one.target == "generic-onnx"]
        kept = {name for one in variants for name in one.files.values()}
        files = {name: data for name, data in files.items() if name in kept or not name.startswith("models/")}
        for name in [one for one in files if one.endswith(".onnx")]:
            model = onnx.load_from_string(files[name])
            graph = model.graph
            answer = graph.output[0]
            for node in graph.node:
                node.output[:] = ["told" if one == answer.name else one for one in node.output]
                node.input[:] = ["told" if one == answer.name else one for one in node.input]
            graph.initializer.append(helper.make_tensor("only", TensorProto.FLOAT, [1], [0.0]))
            graph.node.extend(
                [
                    helper.make_node("Cast", [graph.input[0].name], ["seen"], to=TensorProto.FLOAT),
                    helper.make_node("ReduceMax", ["seen"], ["most"], keepdims=0),
                    helper.make_node("Ceil", ["most"], ["whole"]),
                    helper.make_node("Cast", ["whole"], ["place"], to=TensorProto.INT64),
                    helper.make_node("Gather", ["only", "place"], ["nothing"]),
                    helper.make_node("Add", ["told", "nothing"], [answer.name]),
                ]
            )
            files[name] = model.SerializeToString()
        write_bundle(path, bundle.manifest.model_copy(update={"version": "9.0.0", "variants": tuple(variants)}), files)
    return path


def test_settings_that_keep_the_agent_from_starting_are_tried_once(digits_bundle: Path, tmp_path: Path) -> None:
    commands = {"settable": ["cameras", "telemetry"], "trial_s": 60}
    with site(tmp_path, digits_bundle, ONE, commands=commands) as here:
        here.listener.wait_for("up/result", 3)
        assert here.want(1, config=NOWHERE).pending == ("cameras[0].source",)
        here.ask("restart")
        assert "nowhere" in _refused(here)["settings"]
        here.listener.wait_for("up/result", len(here.listener.heard("up/result")) + 3)
        assert here.boots() == 2, "what could not start never said a birth, and what was before runs again"
        assert here.ask("restart").reply.ok  # type: ignore[union-attr]
        here.heard(lambda _: here.boots() == 3)
        said = len(here.listener.heard("up/reported"))
        denied = here.ask("restart").reply
        assert denied is not None
        assert not denied.ok
        assert "started again 3 times within the hour" in denied.message
        # Remembered on the disk, not only by the process.
        here.agent.send(signal.SIGKILL)
        here.agent.finish(10)
        with AgentProcess("--config", tmp_path / "edgesdk.yaml"):
            here.heard(lambda _: here.boots() == 4)
            assert "nowhere" in _refused(here, said)["settings"]
            assert here.want(2, config={"telemetry.interval_s": 0.4}).applied == {
                "config": {"telemetry.interval_s": 0.4}
            }


def test_a_bundle_that_fails_at_work_is_left_after_one_restart(digits_bundle: Path, tmp_path: Path) -> None:
    commands = {"require_golden": False, "trial_s": 60}
    # Its last word: a trial in a process of its own would find it out before it takes over.
    with site(tmp_path, digits_bundle, ONE, "generic-onnx", commands=commands, pipeline={"probe_timeout_s": 0}) as here:
        _fails_when_it_sees(digits_bundle, tmp_path / "bundles/bad.edgebundle")
        here.listener.wait_for("up/result", 3)
        here.want(5, bundle="bad.edgebundle")
        assert set(_refused(here)) == {"settings"}
        seen = len(here.listener.heard("up/result"))
        results = here.listener.wait_for("up/result", seen + 40)
        assert {one.body["bundle"]["version"] for one in results[seen:]} == {"1.0.0"}
        assert here.boots() == 2
