"""A fair race: all are loaded at once, one runs at a time, and who fails does not hold up the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgesdk.benchmark.interleave import Contender, Race, faster_of, interleaved
from edgesdk.benchmark.live_child import LiveChild
from edgesdk.benchmark.subject import bundle_subject
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.errors import InputError
from edgesdk_testkit.benchmark_subjects import subject


class TestRace:
    def test_four_times_the_work_is_four_times_slower(self) -> None:
        race = interleaved(
            [subject("Spinner", "one", ms=1.0), subject("Spinner", "four", ms=4.0)], rounds=3, slice_s=0.03
        )
        found = race.ratio("four", "one")
        assert found.slower
        assert found.value > 2  # four on an idle machine
        assert race.fastest == "one"
        assert len(race.contenders["one"].rounds_ms) == 3

    def test_a_real_network_on_a_larger_picture_is_slower(self, two_bundles: tuple[Path, Path]) -> None:
        subjects = []
        for path in two_bundles:
            with open_bundle(path) as opened:
                subjects.append(bundle_subject(opened, opened.manifest.variants[0], name=path.stem))
        race = interleaved(subjects, rounds=3, slice_s=0.03)
        assert race.ratio("wide", "small").low > 2

    def test_who_fails_is_named_and_the_others_go_on(self) -> None:
        bad = subject("Crasher", "bad", runs=30)
        race = interleaved([subject("Spinner", "good", ms=0.5), bad, subject("Refuser", "no")], rounds=2, slice_s=0.02)
        assert set(race.contenders) == {"good"}
        assert "SIGSEGV" in race.failed["bad"]
        assert "bad file" in race.failed["no"]
        with pytest.raises(InputError, match="bad file"):
            race.ratio("good", "no")

    def test_one_that_hangs_does_not_hold_up_the_race(self) -> None:
        race = interleaved([subject("Hanger"), subject("Spinner")], rounds=1, slice_s=0.02, load_s=3.0)
        assert set(race.contenders) == {"Spinner"}
        assert "no answer" in race.failed["Hanger"]

    def test_only_one_runs_at_a_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[tuple[str, str]] = []
        real = LiveChild.ask

        def ask(self: LiveChild, what: str, **arguments: Any) -> Any:
            asked.append((self.name, what))
            return real(self, what, **arguments)  # comes back when the child is done

        monkeypatch.setattr(LiveChild, "ask", ask)
        interleaved([subject("Spinner", name) for name in "abc"], rounds=3, slice_s=0.01)
        turns = "".join(name for name, what in asked if what == "slice")
        assert turns == "abcbcacab"

    def test_equal_names_are_refused(self) -> None:
        with pytest.raises(InputError, match="same name"):
            interleaved([subject("Spinner"), subject("Spinner")])

    def test_variants_of_one_bundle(self, two_bundles: tuple[Path, Path]) -> None:
        race = faster_of(two_bundles[1], ["generic-onnx-onnxruntime-fp32", "rpi5-litert-fp32"], rounds=2, slice_s=0.02)
        assert len(race.contenders) == 2
        assert race.fastest in race.contenders
        assert race.to_json()["failed"] == {}

    def test_nothing_timed_has_no_fastest(self) -> None:
        assert Race({}, {"a": "crashed"}, 1).fastest is None
        assert Contender("a", (3.0, 1.0, 2.0), 0).ms == 2.0
