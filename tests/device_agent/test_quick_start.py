"""The start: imports leave no trace in the process, and the model is loaded beside them and closed at the end."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from edgesdk_agent import tuned_model
from edgesdk_agent.quick_start import ModelLoading, quick_imports
from edgesdk_targets.errors import SessionFailed

CONFIG: Any = object()


@pytest.mark.parametrize("before", [None, "logfire-plugin"])
def test_after_quick_imports_the_process_is_as_it_was(monkeypatch: pytest.MonkeyPatch, before: str | None) -> None:
    name = "PYDANTIC_DISABLE_PLUGINS"
    monkeypatch.delenv(name, raising=False)
    if before is not None:
        monkeypatch.setenv(name, before)
    with suppress(ImportError), quick_imports():
        assert not gc.isenabled()
        assert os.environ[name] == "__all__"
        raise ImportError
    assert gc.isenabled()
    assert os.environ.get(name) == before
    gc.unfreeze()


def test_the_model_is_there_when_asked_for_and_closed_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = object()
    closed: list[object] = []

    def load(config: object, stack: ExitStack, _imported: object) -> Any:
        assert config is CONFIG
        stack.callback(closed.append, model)
        return model

    monkeypatch.setattr(tuned_model, "load_tuned_model", load)
    with ModelLoading(CONFIG) as loading:
        assert loading.result() is model
        assert loading.result() is model
        assert closed == []
    assert closed == [model]


def test_what_keeps_it_from_loading_is_told_to_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []

    def load(_config: object, stack: ExitStack, _imported: object) -> Any:
        stack.callback(closed.append, "the bundle")
        raise SessionFailed("no kernel for this")

    monkeypatch.setattr(tuned_model, "load_tuned_model", load)
    with ModelLoading(CONFIG) as loading, pytest.raises(SessionFailed, match="no kernel"):
        loading.result()
    assert closed == ["the bundle"]


def test_one_that_nobody_asked_for_is_closed_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []

    def load(_config: object, stack: ExitStack, _imported: object) -> Any:
        stack.callback(closed.append, "the model")

    monkeypatch.setattr(tuned_model, "load_tuned_model", load)
    with pytest.raises(KeyboardInterrupt), ModelLoading(CONFIG):
        raise KeyboardInterrupt
    assert closed == ["the model"]


def test_who_imports_meanwhile_waits_for_the_library_and_not_for_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    compiled = threading.Event()

    def load(_config: object, _stack: ExitStack, imported: Callable[[], None]) -> Any:
        order.append("library")
        imported()
        assert compiled.wait(60)
        order.append("model")
        return object()

    monkeypatch.setattr(tuned_model, "load_tuned_model", load)
    with ModelLoading(CONFIG) as loading:
        loading.await_library(60)
        order.append("imports")
        compiled.set()
        loading.result()
    assert order == ["library", "imports", "model"]


def test_nobody_waits_longer_for_a_library_that_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object) -> Any:
        raise SessionFailed("no kernel for this")

    monkeypatch.setattr(tuned_model, "load_tuned_model", load)
    with ModelLoading(CONFIG) as loading:
        # Without a limit: what failed is told.
        loading.await_library(threading.TIMEOUT_MAX)
    over = threading.Event()
    monkeypatch.setattr(tuned_model, "load_tuned_model", lambda *_: over.wait(60))
    with ModelLoading(CONFIG) as loading:
        loading.await_library(0.01)
        over.set()
