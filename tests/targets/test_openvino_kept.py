"""Compiled models that are kept: they answer as the model does, and one that is not sound is compiled anew."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from session_contract import SessionContract

from edgesdk_targets.errors import SessionFailed
from edgesdk_targets.runtimes import openvino_kept
from edgesdk_targets.runtimes.openvino import open_session
from edgesdk_targets.runtimes.openvino_kept import KeptModels
from edgesdk_targets.session import Load, Session
from edgesdk_targets.target import Runtime
from edgesdk_testkit.tiny_models import CNN

openvino = pytest.importorskip("openvino")


def keeping(load: Load, cache: Path) -> Load:
    return replace(load, options=replace(load.options, cache_dir=cache, keep_compiled=True))


class TestKeptSession(SessionContract):
    """All that a session promises, of a model that was compiled by another one."""

    runtime = Runtime.OPENVINO

    @pytest.fixture(autouse=True)
    def cache(self, tmp_path: Path) -> None:
        self._cache = tmp_path

    def open(self, load: Load) -> Session:
        kept = keeping(load, self._cache)
        open_session(kept).close()
        return open_session(kept)


@pytest.fixture
def load(tmp_path: Path) -> Load:
    contract = SessionContract()
    contract.runtime = Runtime.OPENVINO  # type: ignore[misc]
    return keeping(contract.load(CNN), tmp_path)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Note each model that is compiled."""
    compiled: list[object] = []
    really = openvino.Core.compile_model

    def noting(self: Any, model: object, *arguments: Any) -> Any:
        compiled.append(model)
        return really(self, model, *arguments)

    monkeypatch.setattr(openvino.Core, "compile_model", noting)
    return compiled


def answer(load: Load) -> Any:
    session = open_session(load)
    logits = np.array(session.run(CNN.feeds())["logits"])
    session.close()
    return logits


def kept_files(cache: Path) -> list[Path]:
    return sorted((cache / "openvino").iterdir())


def test_a_model_is_compiled_once(load: Load, compiled: list[object]) -> None:
    first = answer(load)
    assert len(compiled) == 1
    np.testing.assert_array_equal(answer(load), first)
    assert len(compiled) == 1


def test_who_does_not_ask_for_it_compiles_each_time_and_leaves_nothing(
    load: Load, compiled: list[object], tmp_path: Path
) -> None:
    judging = replace(load, options=replace(load.options, keep_compiled=False))
    answer(judging)
    answer(judging)
    assert len(compiled) == 2
    assert list(tmp_path.iterdir()) == []


def test_other_settings_and_other_weights_are_other_models(load: Load, compiled: list[object]) -> None:
    first = answer(load)
    answer(replace(load, options=replace(load.options, streams=2)))
    assert len(compiled) == 2
    one = load.files["weights"]
    other = answer(replace(load, files={**load.files, "weights": np.float32(9).tobytes() + one[4:]}))
    assert len(compiled) == 3
    assert not np.array_equal(other, first)


@pytest.mark.parametrize("damage", ["cut", "altered", "empty"])
def test_a_damaged_one_is_compiled_anew_and_kept_again(
    load: Load, compiled: list[object], tmp_path: Path, damage: str
) -> None:
    first = answer(load)
    (path,) = kept_files(tmp_path)
    sound = path.read_bytes()
    altered = sound[:-1] + bytes([sound[-1] ^ 1])
    path.write_bytes({"cut": sound[: len(sound) // 2], "altered": altered, "empty": b""}[damage])
    np.testing.assert_array_equal(answer(load), first)
    assert len(compiled) == 2
    assert kept_files(tmp_path) == [path]
    np.testing.assert_array_equal(answer(load), first)
    assert len(compiled) == 2


def test_one_that_the_library_refuses_is_compiled_anew(
    load: Load, compiled: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = answer(load)

    def refuse(*_: object) -> None:
        raise RuntimeError("made by another build")

    with monkeypatch.context() as patched:
        patched.setattr(openvino.Core, "import_model", refuse)
        np.testing.assert_array_equal(answer(load), first)
    assert len(compiled) == 2
    answer(load)
    assert len(compiled) == 2


def test_one_at_which_the_process_ended_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = KeptModels(tmp_path)
    kept.keep("key", b"blob")
    code = (
        "import os, sys; from pathlib import Path; from edgesdk_targets.runtimes.openvino_kept import KeptModels;"
        "KeptModels(Path(sys.argv[1])).open('key', lambda _blob: os.abort())"
    )
    died = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, capture_output=True)
    assert died.returncode < 0
    # Nor kept anew: each second start would end there. It is left out when the oldest go, too.
    for _ in range(2):
        assert kept.open("key", bytes) is None
        assert not kept.takes("key", 4)
        kept.keep("key", b"blob")
    monkeypatch.setattr(openvino_kept, "_MOST_KEPT", 1)
    kept.keep("other", b"blob")
    assert [path.name for path in kept_files(tmp_path)] == ["key.opening", "other"]
    assert kept.open("other", bytes) == b"blob"


def test_what_is_open_is_open_though_its_file_went_meanwhile(tmp_path: Path) -> None:
    kept = KeptModels(tmp_path)
    kept.keep("key", b"blob")

    def opener(blob: bytes) -> bytes:
        (path,) = kept_files(tmp_path)
        path.unlink()
        return blob

    assert kept.open("key", opener) == b"blob"
    assert kept_files(tmp_path) == []


@pytest.mark.parametrize("why", ["large", "fails"])
def test_a_model_that_is_too_large_is_not_exported_and_one_that_cannot_be_runs(
    load: Load, compiled: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    exports: list[object] = []

    def failing(self: object) -> None:
        exports.append(self)
        raise RuntimeError("no memory for it")

    monkeypatch.setattr(openvino.CompiledModel, "export_model", failing)
    if why == "large":
        monkeypatch.setattr(openvino_kept, "_MAX_BYTES", sum(map(len, load.files.values())) - 1)
    np.testing.assert_array_equal(answer(load), answer(load))
    assert (len(compiled), len(exports)) == (2, 0 if why == "large" else 2)
    assert not (tmp_path / "openvino").exists()


def test_without_a_place_to_keep_it_the_model_runs(load: Load, compiled: list[object], tmp_path: Path) -> None:
    (tmp_path / "openvino").write_text("no folder")
    np.testing.assert_array_equal(answer(load), answer(load))
    assert len(compiled) == 2


def test_a_model_that_is_wrong_is_refused_as_ever(load: Load) -> None:
    with pytest.raises(SessionFailed):
        open_session(replace(load, files={**load.files, "model": b"<net"}))


def test_few_are_kept_the_newest_and_no_large_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_kept, "_MOST_KEPT", 2)
    monkeypatch.setattr(openvino_kept, "_MAX_BYTES", 10)
    kept = KeptModels(tmp_path)
    for number, name in enumerate(("old", "newer", "newest")):
        kept.keep(name, name.encode())
        os.utime(tmp_path / "openvino" / name, (number, number))
    kept.keep("large", bytes(11))
    assert {path.name for path in kept_files(tmp_path)} == {"newer", "newest"}


def test_the_agents_process_has_no_converter_and_others_do() -> None:
    told = "print('openvino.tools.ovc.convert' in sys.modules, hasattr(openvino, 'convert_model'))"
    left_out = "from edgesdk_targets.runtimes.openvino_converter import leave_out_converter; leave_out_converter()"
    for first, expected in (("pass", "True True"), (left_out, "False False")):
        code = f"import sys; {first}; import openvino; {told}"
        said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
        assert said.strip() == expected
