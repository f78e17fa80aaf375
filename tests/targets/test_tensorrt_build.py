"""Building engines for real, by TensorRT-RTX: it has TensorRT's Python interface and needs no GPU to build."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgesdk_targets.cache_folder import default_cache_dir
from edgesdk_targets.child_watch import Ending
from edgesdk_targets.errors import BadBundle, MissingExtra, SessionFailed
from edgesdk_targets.runtimes import tensorrt_engine
from edgesdk_targets.runtimes.tensorrt_build import FAILED, REFUSED, build_engine, main
from edgesdk_targets.runtimes.tensorrt_engine import BuildLimits, EngineCache, EnginePlatform, engine_key
from edgesdk_targets.runtimes.tensorrt_recipe import Recipe
from edgesdk_targets.runtimes.tensorrt_versions import RTX, TensorRt, import_library
from edgesdk_targets.target import Precision, Runtime
from edgesdk_targets.tensor import TensorSpec
from edgesdk_testkit.onnx_writer import Node, onnx_model
from edgesdk_testkit.tiny_models import CNN, STREAM, TinyModel

RECIPE = Recipe(libraries=("tensorrt_rtx",), workspace_mb=64)
RECIPE_JSON = RECIPE.to_bytes()
PLATFORM = EnginePlatform(RTX, "1.7.1", "A card", "8.6", "12060")
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

    def test_what_is_written_is_read(self) -> None:
        recipe = Recipe(libraries=("tensorrt", "tensorrt_rtx"), min_tensorrt="10.3", precision=Precision.FP16)
        assert Recipe.from_bytes(recipe.to_bytes()) == recipe

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
            '{"libraries": ["os"]}',
            '{"libraries": []}',
            '{"optimization_level": 9}',
            '{"precision": "fp8"}',
        ],
    )
    def test_a_wrong_recipe_is_refused(self, text: str) -> None:
        with pytest.raises(BadBundle, match="recipe"):
            Recipe.from_bytes(text.encode())


def test_a_library_that_is_not_there_is_named() -> None:
    if importlib.util.find_spec("tensorrt") is not None:
        pytest.skip("tensorrt is installed here")
    with pytest.raises(MissingExtra, match=r"tensorrt is not installed"):
        import_library("tensorrt")


def built(model: bytes, **options: str) -> bytes:
    trt = TensorRt(RTX, import_library(RTX))
    engine, _ = build_engine(trt, model, RECIPE, 64, compute_capability=options.get("compute_capability", "8.6"))
    return engine


@rtx
class TestBuildEngine:
    @pytest.mark.parametrize("model", [CNN, STREAM], ids=lambda model: model.name)
    def test_builds(self, model: TinyModel) -> None:
        assert len(built(model.file(Runtime.ONNXRUNTIME).files["model"])) > 1000

    def test_builds_what_is_in_half_precision(self) -> None:
        spec = TensorSpec(name="x", shape=(1, 8), dtype="float16")
        model = onnx_model([Node("Relu", ["x"], ["y"])], (spec,), (spec.model_copy(update={"name": "y"}),), {})
        assert built(model)

    @pytest.mark.parametrize("content", [b"", b"no model", MODEL[:60]], ids=["empty", "text", "cut"])
    def test_what_is_no_model_is_refused(self, content: bytes) -> None:
        with pytest.raises(SessionFailed, match="does not take this model"):
            built(content)

    def test_an_operator_that_it_lacks_is_named(self) -> None:
        with pytest.raises(SessionFailed, match="Det"):
            built(UNKNOWN)

    def test_a_gpu_that_it_does_not_build_for_is_refused(self) -> None:
        with pytest.raises(SessionFailed, match=r"compute capability 8\.7"):
            built(MODEL, compute_capability="8.7")

    def test_the_childs_exit_status(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        files = [tmp_path / name for name in ("model", "recipe", "engine")]
        arguments = [*map(str, files[:3]), "--library", RTX, "--workspace-mb", "64", "--compute-capability", "8.6"]
        files[1].write_bytes(RECIPE_JSON)
        files[0].write_bytes(MODEL)
        assert main(arguments) == 0
        assert files[2].stat().st_size > 1000
        files[0].write_bytes(UNKNOWN)
        assert main(arguments) == REFUSED
        assert "Det" in capsys.readouterr().err
        assert REFUSED != FAILED


def test_every_part_of_the_fingerprint_counts() -> None:
    base = (b"model", b"recipe")
    others: list[tuple[bytes, bytes | None]] = [
        (b"model2", b"recipe"),
        (b"model", b"recipe2"),
        (b"model", None),
        # No part runs over into the next.
        (b"modelr", b"ecipe"),
    ]
    keys = {engine_key(*parts) for parts in (base, *others)}
    assert len(keys) == 5
    assert engine_key(*base) == engine_key(*base)
    fields = ("library", "version", "gpu", "compute_capability", "driver")
    folders = {dataclasses.replace(PLATFORM, **{field: "other"}).folder for field in fields}
    assert len({*folders, PLATFORM.folder}) == 6
    assert "/" not in dataclasses.replace(PLATFORM, version="../..").folder


def engines(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "engines").glob("*/*") if path.suffix == ".engine")


@rtx
class TestEngineCache:
    """The real builder in its real child."""

    def test_builds_in_a_child_and_keeps(self, tmp_path: Path) -> None:
        cache = EngineCache(tmp_path, PLATFORM)
        assert cache.get("key") is None
        engine = cache.build("key", MODEL, RECIPE_JSON)
        assert len(engine) > 1000
        assert cache.get("key") == engine
        (folder,) = (tmp_path / "engines").iterdir()
        assert [path.name for path in folder.iterdir()] == ["key.engine"]
        cache.forget("key")
        assert cache.get("key") is None

    def test_a_refused_model_is_tried_once(self, tmp_path: Path) -> None:
        with pytest.raises(SessionFailed, match="Det"):
            EngineCache(tmp_path, PLATFORM).build("key", UNKNOWN, RECIPE_JSON)
        assert engines(tmp_path) == []

    def test_a_build_that_takes_too_long_is_ended(self, tmp_path: Path) -> None:
        with pytest.raises(SessionFailed, match="more than 0 s"):
            EngineCache(tmp_path, PLATFORM, BuildLimits(seconds=0.0)).build("key", MODEL, RECIPE_JSON)
        assert [path.name for path in (tmp_path / "engines").iterdir()] == [PLATFORM.folder]
        assert engines(tmp_path) == []

    @pytest.mark.parametrize("limits", [BuildLimits(keep_free_bytes=1 << 60), BuildLimits(memory_bytes=1 << 20)])
    def test_a_build_that_takes_too_much_memory_is_ended(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: BuildLimits
    ) -> None:
        monkeypatch.setattr("edgesdk_targets.child_watch._LOOK_EVERY_S", 0.02)
        with pytest.raises(SessionFailed, match="with 4 MB of scratch memory it left the device too little"):
            EngineCache(tmp_path, PLATFORM, limits).build("key", MODEL, RECIPE_JSON)
        assert engines(tmp_path) == []


class FakeBuilder:
    """Stands for the child: ends as it is told, try by try, and keeps what it was started with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *statuses: int, timing: bytes = b"measured") -> None:
        self.statuses = list(statuses)
        self.workspaces: list[str] = []
        self.timing_seen: list[bytes] = []
        self.timing = timing
        monkeypatch.setattr(tensorrt_engine, "start_child", self.start)
        monkeypatch.setattr(tensorrt_engine, "watch", lambda *_, **__: Ending.BY_ITSELF)

    def start(self, module: str, *arguments: str, folder: Path) -> object:
        status = self.statuses.pop(0) if self.statuses else 0
        self.workspaces.append(arguments[arguments.index("--workspace-mb") + 1])
        self.timing_seen.append((folder / "timing").read_bytes())
        (folder / "messages").write_text("what the builder said\n")
        if status == 0:
            (folder / "engine").write_bytes(b"an engine")
            (folder / "timing").write_bytes(self.timing)
        return SimpleNamespace(returncode=status)


class TestEngineCacheRules:
    """What is retried, kept and removed, with a builder that does as it is told."""

    def test_less_scratch_memory_is_tried_after_a_failure_or_a_kill(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        child = FakeBuilder(monkeypatch, FAILED, -signal.SIGKILL, 0)
        assert EngineCache(tmp_path, PLATFORM).build("key", b"", RECIPE_JSON) == b"an engine"
        assert child.workspaces == ["64", "16", "4"]

    def test_when_every_try_fails_the_last_reason_is_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        FakeBuilder(monkeypatch, FAILED, FAILED, -signal.SIGABRT)
        with pytest.raises(SessionFailed, match=r"with 4 MB of scratch memory its builder was killed \(SIGABRT\)"):
            EngineCache(tmp_path, PLATFORM).build("key", b"", RECIPE_JSON)

    @pytest.mark.parametrize(
        ("status", "said"),
        [(-signal.SIGSEGV, "crashed \\(SIGSEGV\\)"), (-signal.SIGILL, "SIGILL"), (1, "broke"), (REFUSED, "said")],
    )
    def test_what_less_memory_does_not_mend_is_tried_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, said: str
    ) -> None:
        child = FakeBuilder(monkeypatch, status)
        with pytest.raises(SessionFailed, match=said):
            EngineCache(tmp_path, PLATFORM).build("key", b"", RECIPE_JSON)
        assert child.workspaces == ["64"]

    def test_what_was_measured_is_given_to_the_next_build(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        child = FakeBuilder(monkeypatch)
        for key in ("a", "b"):
            EngineCache(tmp_path, PLATFORM).build(key, b"", None)
        newer = dataclasses.replace(PLATFORM, version="1.8")
        EngineCache(tmp_path, newer).build("a", b"", None)
        assert child.timing_seen == [b"", b"measured", b""]

    def test_measurements_are_bounded_and_damaged_ones_dropped(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        child = FakeBuilder(monkeypatch, timing=b"x" * 100)
        cache = EngineCache(tmp_path, PLATFORM)
        cache.build("a", b"", None)
        (path,) = (tmp_path / "engines").glob("*/timing")
        path.write_bytes(path.read_bytes()[:-1])
        cache.build("b", b"", None)
        monkeypatch.setattr(tensorrt_engine, "_MAX_TIMING_BYTES", 50)
        cache.build("c", b"", None)
        assert not path.exists()
        cache.build("d", b"", None)
        assert child.timing_seen == [b"", b"", b"x" * 100, b""]

    @pytest.mark.parametrize(
        "change", [{"version": "1.8"}, {"driver": "13000"}, {"gpu": "Another card"}, {"compute_capability": "8.9"}]
    )
    def test_engines_of_another_platform_are_removed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, str]
    ) -> None:
        FakeBuilder(monkeypatch)
        other = dataclasses.replace(PLATFORM, library="tensorrt", version="10.3")
        for platform in (PLATFORM, other, dataclasses.replace(PLATFORM, **change)):
            cache = EngineCache(tmp_path, platform)
            assert cache.get("key") is None
            cache.build("key", b"", None)
        left = {path.name for path in (tmp_path / "engines").iterdir()}
        assert left == {other.folder, dataclasses.replace(PLATFORM, **change).folder}

    def test_what_a_power_cut_left_is_removed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        FakeBuilder(monkeypatch)
        for name, age in ((".building-old", 2 * 86400), (".building-now", 0)):
            folder = tmp_path / "engines" / name
            folder.mkdir(parents=True)
            os.utime(folder, (time.time() - age,) * 2)
        EngineCache(tmp_path, PLATFORM).build("key", b"", None)
        left = {path.name for path in (tmp_path / "engines").iterdir()}
        assert left == {".building-now", PLATFORM.folder}

    def test_a_damaged_engine_is_not_taken_and_goes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        FakeBuilder(monkeypatch)
        cache = EngineCache(tmp_path, PLATFORM)
        cache.build("key", b"", None)
        (path,) = (tmp_path / "engines").glob("*/key.engine")
        data = path.read_bytes()
        changed = [data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :] for position in (0, 34, -1)]
        for damaged in (*changed[:2], data[:-1] + b"?", data[:-1], data[:10], b""):
            path.write_bytes(damaged)
            assert cache.get("key") is None
            assert not path.exists()
        path.write_bytes(data)
        assert cache.get("key") == b"an engine"

    def test_only_the_latest_engines_stay(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        FakeBuilder(monkeypatch)
        folder = tmp_path / "engines" / PLATFORM.folder
        folder.mkdir(parents=True)
        for number in range(12):
            path = folder / f"old{number:02}.engine"
            path.write_bytes(b"x")
            os.utime(path, (number, number))
        EngineCache(tmp_path, PLATFORM).build("key", b"", None)
        assert engines(tmp_path) == ["key.engine", *(f"old{number:02}.engine" for number in range(5, 12))]


class TestTheChild:
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
            "from edgesdk_targets.child_watch import behave_as_child\n"
            "behave_as_child()\n"
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
