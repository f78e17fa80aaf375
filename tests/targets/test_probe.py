"""A runtime that fails does so in a child: each way has its name, the next choice is taken, answers are kept."""

from __future__ import annotations

import dataclasses
import errno
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edgesdk_targets import child_watch
from edgesdk_targets import probe as probe_module
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.errors import MissingExtra, SessionFailed
from edgesdk_targets.model import load_model
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.probe import ProbeLimits, Trial, pixel_values, probe, trial_of_bundle, trial_of_files
from edgesdk_targets.probe_result import Outcome, ProbeResult
from edgesdk_targets.session import RUNTIMES, RuntimeEntry, SessionOptions
from edgesdk_targets.target import Runtime
from edgesdk_targets.variant_choice import Host
from edgesdk_testkit.fake_runtimes import session_module
from edgesdk_testkit.tiny_bundles import write_tiny_bundle
from edgesdk_testkit.tiny_models import CNN, OPEN, PIXELS, STREAM, TinyModel

for package in ("onnxruntime", "openvino"):
    pytest.importorskip(package)

FAKE = "edgesdk_fake_session"
_HOST = Host("x86-cpu", "x86_64")
QUICK = ProbeLimits(phase_s=1.0)
TWO = (("x86-cpu", Runtime.OPENVINO), ("generic-onnx", Runtime.ONNXRUNTIME))
Fake = Callable[..., Path]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """Put a fake runtime in OpenVINO's place, and return what writes it."""
    folder = tmp_path / "runtimes"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setitem(RUNTIMES, Runtime.OPENVINO, RuntimeEntry(FAKE, (FAKE,), "openvino"))
    monkeypatch.setattr("edgesdk_targets.variant_choice.this_host", lambda: _HOST)
    yield lambda *arguments, **options: session_module(folder, FAKE, *arguments, **options)
    sys.modules.pop(FAKE, None)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "cnn-1.0.0.edgebundle", variants=TWO)


@pytest.fixture
def options(tmp_path: Path) -> SessionOptions:
    return SessionOptions(threads=1, cache_dir=tmp_path / "cache")


def _tried(bundle: Path, options: SessionOptions, limits: ProbeLimits = QUICK) -> ProbeResult:
    with open_bundle(bundle) as opened:
        trial = trial_of_bundle(opened, opened.manifest.variants[0], Runtime.OPENVINO)
        return probe(trial, options=options, limits=limits)


@pytest.fixture
def count_children(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    started: list[str] = []

    def start(module: str, *arguments: str, folder: Path) -> object:
        started.append(module)
        return original(module, *arguments, folder=folder)

    original = probe_module.start_child
    monkeypatch.setattr(probe_module, "start_child", start)
    return started


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Answer without a child, and count how often one would have been started."""
    tried: list[str] = []

    def answer(folder: Path, trial: Trial, request: object, limits: object) -> ProbeResult:
        tried.append(trial.variant.id)
        return ProbeResult(Outcome.FINE)

    monkeypatch.setattr(probe_module, "_tried", answer)
    return tried


@pytest.mark.parametrize(
    ("act", "phase", "outcome", "said"),
    [
        ("SIGILL", "import", Outcome.ILLEGAL_INSTRUCTION, "illegal instruction (SIGILL) while it was imported"),
        ("SIGSEGV", "load", Outcome.CRASHED, "crashed (SIGSEGV) while it loaded"),
        ("SIGKILL", "run", Outcome.OUT_OF_MEMORY, "killed while it ran, most likely because memory ran out"),
        ("137", "load", Outcome.OUT_OF_MEMORY, "killed while it loaded, most likely because memory ran out"),
        ("bad_alloc", "load", Outcome.OUT_OF_MEMORY, "crashed (SIGABRT) while it loaded. Its last words: what():"),
        ("leaves", "import", Outcome.CRASHED, "ended its process with code 3 while it was imported. Its last words: c"),
        ("hangs", "run", Outcome.HANGS, "did not answer within 1 s while it ran"),
        ("raises", "load", Outcome.REFUSED, "no kernel for this"),
        ("lacks", "import", Outcome.MISSING, "libfake.so.1: cannot open shared object file"),
    ],
)
def test_each_way_to_fail_is_named_and_the_next_choice_is_taken(
    fake: Fake, bundle: Path, options: SessionOptions, act: str, phase: str, outcome: Outcome, said: str
) -> None:
    fake(act, phase)
    result = _tried(bundle, options)
    assert result.outcome is outcome
    assert said in result.reason
    assert result.hint
    with load_model(bundle, options=options, probe=QUICK) as model:
        assert model.runtime is Runtime.ONNXRUNTIME
        assert model.choice.failed == ((f"{_first(bundle)} by openvino", result.reason),)
        assert model.choice.rejected[0] == model.choice.failed[0]
        model(np.zeros((16, 16, 3), np.uint8))


def _first(bundle: Path) -> str:
    with open_bundle(bundle) as opened:
        return opened.manifest.variants[0].id


@pytest.mark.parametrize(
    ("answer", "outcome", "said"),
    [
        ("nan", Outcome.NOT_FINITE, "output 'logits' holds NaN values"),
        ("infinite", Outcome.NOT_FINITE, "output 'logits' holds infinite values"),
        ("short", Outcome.WRONG_OUTPUTS, "output 'logits' is [1, 4] float32, where the manifest says [1, 5] float32"),
        ("double", Outcome.WRONG_OUTPUTS, "is [1, 5] float64"),
        ("nothing", Outcome.WRONG_OUTPUTS, "no output 'logits'"),
        ("nan for zeros", Outcome.FINE, ""),
        ("", Outcome.FINE, ""),
    ],
)
def test_answers_are_looked_at(
    fake: Fake, bundle: Path, options: SessionOptions, answer: str, outcome: Outcome, said: str
) -> None:
    fake(answer=answer)
    result = _tried(bundle, options)
    assert result.outcome is outcome, result
    assert said in result.reason
    assert result.fine == (not result.reason)


def test_only_a_build_may_take_longer(fake: Fake, bundle: Path, options: SessionOptions) -> None:
    """An engine takes minutes to build; a driver that hangs before or after is not waited for as long."""
    fake("builds", "load")
    result = _tried(bundle, options, ProbeLimits(phase_s=1.0, build_s=30))
    assert result.fine, result
    assert result.seconds["build"] > 1.0
    fake("builds for ever", "load")
    result = _tried(bundle, options, ProbeLimits(phase_s=30, build_s=1.0))
    assert result.outcome is Outcome.HANGS
    assert "within 1 s while it built an engine" in result.reason


def test_a_child_that_takes_too_much_memory_is_stopped(fake: Fake, bundle: Path, options: SessionOptions) -> None:
    fake("eats", "load")
    result = _tried(bundle, options, ProbeLimits(phase_s=30, memory_bytes=200 << 20))
    assert result.outcome is Outcome.OUT_OF_MEMORY
    assert "left the device too little memory while it loaded" in result.reason


def test_a_child_that_leaves_the_device_no_memory_is_stopped(fake: Fake, bundle: Path, options: SessionOptions) -> None:
    fake("hangs", "load")
    result = _tried(bundle, options, ProbeLimits(phase_s=30, keep_free_bytes=1 << 60))
    assert result.outcome is Outcome.OUT_OF_MEMORY


def test_a_child_that_prints_without_end_does_not_fill_the_disk(
    fake: Fake, bundle: Path, options: SessionOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    cut = child_watch._cut_messages

    def seen(folder: Path) -> None:
        cut(folder)
        sizes.append((folder / "messages").stat().st_size)

    monkeypatch.setattr(child_watch, "_cut_messages", seen)
    monkeypatch.setattr(child_watch, "_MAX_MESSAGES_BYTES", 1000)
    monkeypatch.setattr(child_watch, "_LOOK_EVERY_S", 0.05)
    path = fake("hangs", "load")
    path.write_text(
        path.read_text().replace(
            "signal.pause()", "[print('x' * 5000, flush=True) or time.sleep(0.2) for _ in range(99)]", 1
        )
    )
    assert _tried(bundle, options).outcome is Outcome.HANGS
    assert 0 in sizes[2:]
    assert max(sizes) <= 5001


@pytest.mark.parametrize("refused", ["start_child", "tempfile.TemporaryDirectory"])
def test_where_nothing_can_be_tried_nothing_is_refused(
    fake: Fake, bundle: Path, options: SessionOptions, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    fake()
    monkeypatch.setattr(f"edgesdk_targets.probe.{refused}", full)
    result = _tried(bundle, options)
    assert (result.fine, result.kept) == (True, False)
    assert not _tried(bundle, options).kept


def test_without_a_probe_nothing_is_started(
    fake: Fake, bundle: Path, options: SessionOptions, count_children: list[str]
) -> None:
    fake()
    load_model(bundle, options=options).close()
    assert count_children == []


def test_when_everything_fails_the_best_choices_reason_is_raised(
    fake: Fake, bundle: Path, options: SessionOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake("SIGILL")
    monkeypatch.setitem(RUNTIMES, Runtime.ONNXRUNTIME, RuntimeEntry(FAKE, (FAKE,), "onnx"))
    with pytest.raises(SessionFailed, match="openvino died of an illegal instruction"):
        load_model(bundle, options=options, probe=QUICK)


def test_a_library_that_is_missing_only_here_is_told_as_that(fake: Fake, bundle: Path, options: SessionOptions) -> None:
    """Without a probe too: a runtime that does not load is passed over."""
    path = fake()
    text = path.read_text().replace(
        "def open_session(load):",
        "def open_session(load):\n    import edgesdk_targets.errors as e\n    raise e.MissingExtra('openvino', 'openvino')\n",
    )
    path.write_text(text)
    with load_model(bundle, options=options) as model:
        assert model.runtime is Runtime.ONNXRUNTIME
        assert "openvino is not installed" in model.choice.failed[0][1]
    with pytest.raises(MissingExtra):
        load_model(bundle, target="x86-cpu", options=options)


class TestKeptAnswers:
    def test_the_second_start_costs_nothing(
        self, fake: Fake, bundle: Path, options: SessionOptions, count_children: list[str]
    ) -> None:
        fake()
        assert not _tried(bundle, options).kept
        again = _tried(bundle, options)
        assert again.kept
        assert again.fine
        assert again.versions[FAKE] == "1.0"
        assert set(again.seconds) == {"import", "load", "run"}
        assert len(count_children) == 1

    def test_another_version_of_the_runtime_is_tried_again(
        self, fake: Fake, bundle: Path, options: SessionOptions, count_children: list[str]
    ) -> None:
        fake("SIGILL")
        assert _tried(bundle, options).outcome is Outcome.ILLEGAL_INSTRUCTION
        fake(version="1.1")
        mended = _tried(bundle, options)
        assert (mended.fine, mended.kept, mended.versions[FAKE]) == (True, False, "1.1")
        assert len(count_children) == 2

    def test_a_new_distribution_beside_the_package_is_tried_again(
        self, fake: Fake, bundle: Path, options: SessionOptions, trials: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As pip leaves it: the package's files may keep their time, the folder with its version does not."""
        path = fake()
        package = path.parent / "edgesdk_fake_package"
        package.mkdir()
        (package / "__init__.py").touch()
        entry = RuntimeEntry(FAKE, (package.name,), "openvino")
        monkeypatch.setitem(RUNTIMES, Runtime.OPENVINO, entry)
        for version in ("1.0", "1.0", "1.1"):
            for old in path.parent.glob("*.dist-info"):
                old.rmdir()
            (path.parent / f"{package.name}-{version}.dist-info").mkdir()
            assert _tried(bundle, options).fine
        assert len(trials) == 2

    def test_another_model_processor_python_or_driver_is_tried_again(
        self,
        fake: Fake,
        bundle: Path,
        options: SessionOptions,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        trials: list[str],
    ) -> None:
        fake()
        assert not _tried(bundle, options).kept
        other = write_tiny_bundle(tmp_path / "b", PIXELS, variants=TWO)
        assert not _tried(other, options).kept
        assert not _tried(bundle, dataclasses.replace(options, threads=2)).kept
        for name, value in (("_cpu", ["flags: avx2"]), ("nvidia_driver", "NVRM 580")):
            with monkeypatch.context() as patch:
                patch.setattr(f"edgesdk_targets.probe_fingerprint.{name}", lambda value=value: value)
                assert not _tried(bundle, options).kept
        with monkeypatch.context() as patch:
            patch.setattr(sys, "version", "3.99")
            assert not _tried(bundle, options).kept
        assert _tried(bundle, options).kept

    def test_a_folder_that_cannot_be_written_keeps_nothing(
        self, fake: Fake, bundle: Path, tmp_path: Path, trials: list[str]
    ) -> None:
        fake()
        (tmp_path / "file").touch()
        options = SessionOptions(cache_dir=tmp_path / "file")
        for _ in range(2):
            assert _tried(bundle, options).fine
        assert len(trials) == 2


@pytest.mark.parametrize("model", [STREAM, OPEN], ids=lambda model: model.name)
def test_a_real_runtime_passes(model: TinyModel, tmp_path: Path) -> None:
    """Recurrent states and outputs of open size too."""
    file = model.file(Runtime.ONNXRUNTIME)
    bundle = write_tiny_bundle(tmp_path / "b", CNN, variants=TWO)
    with open_bundle(bundle) as opened:
        variant = opened.manifest.variants[1].model_copy(update={"inputs": file.inputs, "outputs": file.outputs})
    trial = trial_of_files(file.files, variant, Runtime.ONNXRUNTIME, model.inputs, model.outputs, zeros=("before",))
    result = probe(trial, options=SessionOptions(threads=1, cache_dir=tmp_path))
    assert result.fine, result
    assert result.versions["onnxruntime"]


def test_nothing_is_left_behind(
    fake: Fake, bundle: Path, options: SessionOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    for act in ("fine", "SIGSEGV", "hangs"):
        fake(act, "load")
        _tried(bundle, options, ProbeLimits(phase_s=0.5))
        assert list((tmp_path / "temporary").iterdir()) == []


def test_a_python_that_cannot_start_itself_tries_nothing(
    fake: Fake, bundle: Path, options: SessionOptions, count_children: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake("SIGILL")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert _tried(bundle, options).fine
    monkeypatch.delattr(sys, "frozen")
    monkeypatch.setattr(sys, "executable", "")
    assert _tried(bundle, options).fine
    assert count_children == []


def test_values_of_pixels() -> None:
    spec = Preprocess(color="rgb", size=(4, 4), mean=(127.5, 127.5, 0.0), std=(127.5, 127.5, 255.0))
    assert pixel_values(spec, folded=False) == (-1.0, 1.0)
    assert pixel_values(spec, folded=True) == (0.0, 255.0)
    assert pixel_values(None, folded=False) == (0.0, 1.0)
