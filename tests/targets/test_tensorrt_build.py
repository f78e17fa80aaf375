"""Building engines for real, by TensorRT-RTX: it has TensorRT's Python interface and needs no GPU to build."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edgesdk_targets.errors import BadBundle, MissingExtra, SessionFailed
from edgesdk_targets.runtimes.tensorrt_build import (
    FAILED,
    REFUSED,
    Recipe,
    _network_flags,
    build_engine,
    check_version,
    main,
)
from edgesdk_targets.runtimes.tensorrt_engine import BuildLimits, EngineCache, default_cache_dir, engine_key
from edgesdk_targets.target import Runtime
from edgesdk_targets.tensor import TensorSpec
from edgesdk_testkit.onnx_writer import Node, onnx_model
from edgesdk_testkit.tiny_models import CNN, STREAM, TinyModel

RTX = Recipe(library="tensorrt_rtx", compute_capability="8.6", workspace_mb=64)
RTX_JSON = b'{"schema":"tensorrt-recipe/1","library":"tensorrt_rtx","compute_capability":"8.6","workspace_mb":64}'
MODEL = CNN.file(Runtime.ONNXRUNTIME).files["model"]
# An operator that no TensorRT takes.
UNKNOWN = onnx_model(
    [Node("Det", ["x"], ["y"])], (TensorSpec(name="x", shape=(1, 4, 4)),), (TensorSpec(name="y", shape=(1,)),), {}
)
rtx = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None,
    reason="tensorrt-rtx is not installed (pip install 'edgesdk[tensorrt-rtx]')",
)


class TestRecipe:
    def test_none_means_the_defaults(self) -> None:
        assert Recipe.from_bytes(None) == Recipe()

    def test_what_the_converter_writes_is_read(self) -> None:
        recipe = pytest.importorskip("edgesdk_converters.steps.tensorrt_recipe")
        from edgesdk_targets.target import Precision

        written = recipe.build_recipe(inputs=CNN.inputs, precision=Precision.FP16)
        read = Recipe.from_bytes(json.dumps(written).encode())
        assert read.workspace_mb == written["workspace_mb"]
        assert read.min_tensorrt == written["min_tensorrt"]

    def test_scratch_memory_shrinks_from_try_to_try(self) -> None:
        assert Recipe(workspace_mb=1024).workspaces_mb == (1024, 256, 64)
        assert Recipe(workspace_mb=1).workspaces_mb == (1,)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "[]",
            "{",
            '{"schema": "tensorrt-recipe/2"}',
            '{"workspace_mb": 0}',
            # A bundle must not choose what is imported.
            '{"library": "os"}',
            '{"optimization_level": 9}',
            '{"compute_capability": "8"}',
        ],
    )
    def test_a_wrong_recipe_is_refused(self, text: str) -> None:
        with pytest.raises(BadBundle, match="recipe"):
            Recipe.from_bytes(text.encode())

    def test_an_old_tensorrt_is_refused(self) -> None:
        recipe = Recipe(min_tensorrt="10.3")
        for version in ("10.3.0", "10.13.2.6", "11.4.0"):
            check_version(version, recipe)
        for version in ("10.0.1", "8.6.1.post1"):
            with pytest.raises(SessionFailed, match=version.replace(".", r"\.")):
                check_version(version, recipe)
        check_version("1.7.1", Recipe(min_tensorrt="10.3", library="tensorrt_rtx"))


def test_only_tensorrt_10_has_to_be_told_to_keep_types() -> None:
    class Flags:
        STRONGLY_TYPED = 1

    class Library:
        NetworkDefinitionCreationFlag = Flags

    def flags(version: str, library: str) -> int:
        return _network_flags(type("Versioned", (Library,), {"__version__": version}), library)

    assert flags("10.3.0", "tensorrt") == 2
    assert flags("10.16.0.1", "tensorrt") == 2
    assert flags("11.4.0.106", "tensorrt") == 0
    assert flags("1.7.1.116", "tensorrt_rtx") == 0


def test_a_library_that_is_not_there_is_named() -> None:
    if importlib.util.find_spec("tensorrt") is not None:
        pytest.skip("tensorrt is installed here")
    with pytest.raises(MissingExtra, match=r"tensorrt is not installed"):
        build_engine(MODEL, Recipe(), 64)


@rtx
class TestBuildEngine:
    @pytest.mark.parametrize("model", [CNN, STREAM], ids=lambda model: model.name)
    def test_builds(self, model: TinyModel) -> None:
        engine = build_engine(model.file(Runtime.ONNXRUNTIME).files["model"], RTX, 64)
        assert len(engine) > 1000

    def test_builds_what_is_in_half_precision(self) -> None:
        spec = TensorSpec(name="x", shape=(1, 8), dtype="float16")
        model = onnx_model([Node("Relu", ["x"], ["y"])], (spec,), (spec.model_copy(update={"name": "y"}),), {})
        assert build_engine(model, RTX, 64)

    @pytest.mark.parametrize("content", [b"", b"no model", MODEL[:60]], ids=["empty", "text", "cut"])
    def test_what_is_no_model_is_refused(self, content: bytes) -> None:
        with pytest.raises(SessionFailed, match="does not take this model"):
            build_engine(content, RTX, 64)

    def test_an_operator_that_it_lacks_is_named(self) -> None:
        with pytest.raises(SessionFailed, match="Det"):
            build_engine(UNKNOWN, RTX, 64)

    def test_a_gpu_that_it_does_not_build_for_is_refused(self) -> None:
        with pytest.raises(SessionFailed, match=r"compute capability 8\.7"):
            build_engine(MODEL, Recipe(library="tensorrt_rtx", compute_capability="8.7"), 64)

    def test_the_childs_exit_status(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        files = [tmp_path / name for name in ("model", "recipe", "engine")]
        arguments = [*map(str, files), "--workspace-mb", "64"]
        files[1].write_bytes(RTX_JSON)
        files[0].write_bytes(MODEL)
        assert main(arguments) == 0
        assert files[2].stat().st_size > 1000
        files[0].write_bytes(UNKNOWN)
        assert main(arguments) == REFUSED
        assert "Det" in capsys.readouterr().err
        assert REFUSED != FAILED


class TestEngineKey:
    def test_every_part_counts(self) -> None:
        base = (b"model", b"recipe", "10.3.0", ("Orin", "8.7", "12060"))
        other: list[tuple[bytes, bytes | None, str, tuple[str, ...]]] = [
            (b"model2", *base[1:]),
            (base[0], b"recipe2", *base[2:]),
            (base[0], None, *base[2:]),
            (*base[:2], "10.3.1", base[3]),
            (*base[:3], ("Orin", "8.7", "12061")),
            (*base[:3], ("Orin NX", "8.7", "12060")),
            # No part runs over into the next.
            (b"modelr", b"ecipe", *base[2:]),
        ]
        keys = {engine_key(*parts) for parts in other}
        assert len(keys) == len(other)
        assert engine_key(*base) not in keys
        assert engine_key(*base) == engine_key(*base)


@rtx
class TestEngineCache:
    def test_builds_in_a_child_and_keeps(self, tmp_path: Path) -> None:
        cache = EngineCache(tmp_path)
        assert cache.get("key") is None
        engine = cache.build("key", MODEL, RTX_JSON)
        assert len(engine) > 1000
        assert cache.get("key") == engine
        assert [path.name for path in (tmp_path / "engines").iterdir()] == ["key.engine"]
        cache.forget("key")
        assert cache.get("key") is None

    def test_a_damaged_engine_is_not_taken(self, tmp_path: Path) -> None:
        cache = EngineCache(tmp_path)
        cache.build("key", MODEL, RTX_JSON)
        path = tmp_path / "engines" / "key.engine"
        data = bytearray(path.read_bytes())
        for position in (0, 40, len(data) - 1):
            changed = bytearray(data)
            changed[position] ^= 1
            path.write_bytes(bytes(changed))
            assert cache.get("key") is None
        path.write_bytes(bytes(data[:-1]))
        assert cache.get("key") is None
        path.write_bytes(bytes(data))
        assert cache.get("key") is not None

    def test_a_refused_model_is_tried_once(self, tmp_path: Path) -> None:
        with pytest.raises(SessionFailed, match="Det"):
            EngineCache(tmp_path).build("key", UNKNOWN, RTX_JSON)
        assert list((tmp_path / "engines").iterdir()) == []

    def test_a_build_that_takes_too_long_is_ended(self, tmp_path: Path) -> None:
        with pytest.raises(SessionFailed, match="more than 0 s"):
            EngineCache(tmp_path, BuildLimits(seconds=0.0)).build("key", MODEL, RTX_JSON)
        assert list((tmp_path / "engines").iterdir()) == []

    def test_a_build_that_leaves_too_little_memory_is_ended(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("edgesdk_targets.runtimes.tensorrt_engine._LOOK_EVERY_S", 0.001)
        limits = BuildLimits(keep_free_bytes=1 << 60)
        with pytest.raises(SessionFailed, match="with 4 MB of scratch memory it left the device too little"):
            EngineCache(tmp_path, limits).build("key", MODEL, RTX_JSON)
        assert list((tmp_path / "engines").iterdir()) == []

    def test_only_the_latest_engines_stay(self, tmp_path: Path) -> None:
        folder = tmp_path / "engines"
        folder.mkdir()
        for number in range(12):
            path = folder / f"old{number}.engine"
            path.write_bytes(b"x")
            os.utime(path, (number, number))
        EngineCache(tmp_path).build("key", MODEL, RTX_JSON)
        kept = {path.name for path in folder.iterdir()}
        assert kept == {"key.engine", *(f"old{number}.engine" for number in range(5, 12))}

    def test_the_child_ends_when_its_parent_dies(self, tmp_path: Path) -> None:
        """Start a builder whose build does not end, from a parent that is then killed."""
        script = (
            "import subprocess, sys, pathlib\n"
            "child = subprocess.Popen([sys.executable, '-c', sys.argv[1]])\n"
            "print(child.pid, flush=True)\n"
            "child.wait()\n"
        )
        builder = (
            "import threading\n"
            "from edgesdk_targets.runtimes import tensorrt_build\n"
            "tensorrt_build._die_with_parent()\n"
            "print('ready', flush=True)\n"
            "threading.Event().wait()\n"
        )
        parent = subprocess.Popen([sys.executable, "-c", script, builder], stdout=subprocess.PIPE, text=True)
        assert parent.stdout is not None
        lines = {parent.stdout.readline().strip(), parent.stdout.readline().strip()}
        pid = int((lines - {"ready"}).pop())
        assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "1000"
        parent.kill()
        parent.wait()
        # The pipe closes when the last process that holds it has ended.
        done = threading.Thread(target=parent.stdout.read)
        done.start()
        done.join(20)
        assert not done.is_alive()
        parent.stdout.close()


def test_the_cache_is_in_the_users_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / "edgesdk"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / ".cache" / "edgesdk"
