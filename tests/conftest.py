"""Fixtures for all tests."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from itertools import compress, groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from edgesdk_testkit.brokers import RealBroker
    from edgesdk_testkit.postgresql import PostgresqlServer

# Started in the background by a shell, or by nohup: the processes that tests start would not hear these either.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Template classes and shared checks fail as readably as tests do.
pytest.register_assert_rewrite("camera_contract", "session_contract", "edgesdk_testkit")

ROOT = Path(__file__).resolve().parents[1]
# Finished conversion steps are kept between runs of the tests on one machine; a fresh clone has none.
os.environ.setdefault("EDGESDK_CACHE", str(ROOT / ".cache" / "edgesdk"))
# Agents of tests take the first variant at once; those that are to tune say so themselves.
os.environ.setdefault("EDGESDK_PIPELINE__TUNE", "off")
# What devices keep (answers of probes, engines, boards) stays out of the user's own cache.
os.environ.setdefault("XDG_CACHE_HOME", str(ROOT / ".cache"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin the long files first, and let each part of the run have files that wait and files that compute."""
    files = [list(group) for _, group in groupby(items, key=lambda item: item.path)]
    long, others = _parted(files, "long")
    items[:] = [item for part in (long, others) for file in _mixed(*_parted(part, "system")) for item in file]


def _parted(files: list[list[pytest.Item]], mark: str) -> tuple[list[list[pytest.Item]], list[list[pytest.Item]]]:
    """Return the files with a test that has this mark, and those without."""
    marked = [any(item.get_closest_marker(mark) for item in file) for file in files]
    return list(compress(files, marked)), [file for file, has in zip(files, marked, strict=True) if not has]


def _mixed(*kinds: list[list[pytest.Item]]) -> list[list[pytest.Item]]:
    """Spread files of several kinds evenly over each other: those of real processes wait for half of their time."""
    placed = [(number / len(kind), file) for kind in kinds for number, file in enumerate(kind)]
    return [file for _, file in sorted(placed, key=itemgetter(0))]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave files unread that cannot hold what `-m alone` or `-m paced` asks for: importing all the others takes long."""
    wanted = config.option.markexpr
    if wanted not in {"alone", "paced"} or collection_path.suffix != ".py":
        return None
    return f"mark.{wanted}" not in collection_path.read_text("utf-8") or None


@pytest.fixture(autouse=True)
def _logs_end_with_their_test() -> Iterator[None]:
    """Take down what a command in this process put up to log: it would write to the terminal of a test that is over."""
    logger = logging.getLogger()
    before, level = logger.handlers[:], logger.level
    yield
    for handler in [one for one in logger.handlers if one not in before]:
        logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def needs_program() -> Callable[[str, str], str]:
    """Return a program's path; where it is missing the test skips, or fails if the run promises to have it."""

    def find(program: str, package: str) -> str:
        from edgesdk_testkit.required import missing  # after its asserts are registered for rewriting

        path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if path is None:
            missing(f"{program} is not installed (Debian package {package})")
        return path

    return find


@pytest.fixture
def log_put_back() -> Iterator[None]:
    """Let a test start the log of this process, and leave no trace of it."""
    from edgesdk_testkit.log_as_before import log_as_before  # tests that start none need no agent

    with log_as_before():
        yield


@pytest.fixture(scope="module")
def benchmarks_path() -> Iterator[None]:
    """Put the benchmarks' folder on the path, as running one of its scripts does, and clean up behind it."""
    folder, before = str(ROOT / "benchmarks"), set(sys.modules)
    sys.path.insert(0, folder)
    yield
    sys.path.remove(folder)
    for name, module in [*sys.modules.items()]:
        if name not in before and str(getattr(module, "__file__", "")).startswith(folder):
            del sys.modules[name]


@pytest.fixture(params=["mosquitto", "iotcore"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RealBroker]:
    """A broker of each kind, running; the test may kill it."""
    from edgesdk_testkit.brokers import running_broker

    with running_broker(request.param, tmp_path / "broker") as running:
        yield running


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[RealBroker]:
    """A running mosquitto, where one kind of broker is enough."""
    from edgesdk_testkit.brokers import running_broker

    with running_broker("mosquitto", tmp_path / "broker") as running:
        yield running


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """One server for all tests of this process: starting it takes longer than most of them."""
    from edgesdk_testkit.postgresql import running_postgresql

    with running_postgresql(durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def digits_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample detector, converted for the targets that run on any host."""
    from edgesdk_converters.convert import convert

    folder = tmp_path_factory.mktemp("digits")
    return convert(ROOT / "examples/digits/detector.yaml", ["generic-onnx", "x86-cpu"], output=folder).path
