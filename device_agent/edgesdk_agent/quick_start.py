"""From the command to the first result: nothing is looked for that is not there, and the model loads beside the imports."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

    from edgesdk_agent.config.root import AgentConfig
    from edgesdk_targets.model import Model

_PLUGINS = "PYDANTIC_DISABLE_PLUGINS"
# A first start tries the runtime in processes of its own before this one imports it: others go on then.
_LIBRARY_WITHIN_S = 1.0


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import in the body with what only delays it left out.

    Pydantic looks for plugins in the folder of every installed package, for classes that have none; afterwards it does as
    ever, for a hook's own classes. And what imports make stays: it is not looked through for garbage, neither now nor later.
    """
    given = os.environ.get(_PLUGINS)
    os.environ[_PLUGINS] = "__all__"
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        if given is None:
            del os.environ[_PLUGINS]
        else:
            os.environ[_PLUGINS] = given


class ModelLoading:
    """Load the configuration's model on a thread, while others do what does not need it; use it in a `with` statement.

    First it needs Python, as all who import do, so that one of them waits: `await_library` is for whoever can do the rest while
    the runtime compiles. At the end of the statement the model is closed,
    unless it was handed to somebody.
    """

    def __init__(self, config: AgentConfig) -> None:
        self._config = config
        self._stack = ExitStack()
        self._model: Model | None = None
        self._error: BaseException | None = None
        self._library_there = threading.Event()
        # A daemon: who is told twice to end does not wait for a runtime.
        self._thread = threading.Thread(target=self._load, name="edgesdk-load", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._thread.join()
        self._stack.close()

    def await_library(self, timeout_s: float = _LIBRARY_WITHIN_S) -> None:
        """Wait until the runtime's library is imported, or the model is loaded or failed, or the time is over."""
        self._library_there.wait(timeout_s)

    def result(self) -> Model:
        """Wait for the model.

        Raises:
            EdgeError: it cannot be loaded.
        """
        self._thread.join()
        if self._error is not None:
            raise self._error
        assert self._model is not None  # noqa: S101  (loaded, or an error)
        return self._model

    def handed_to(self, stack: ExitStack) -> Model:
        """Wait for the model, and leave it to `stack` to close it: another one may take its place before the end.

        Raises:
            EdgeError: it cannot be loaded.
        """
        model = self.result()
        stack.push(self._stack.pop_all())
        return model

    def _load(self) -> None:
        try:
            from edgesdk_agent.tuned_model import load_tuned_model

            self._model = load_tuned_model(self._config, self._stack, self._library_there.set)
        except BaseException as error:  # noqa: BLE001  (a thread's top: whoever asks for the model is told)
            self._error = error
        finally:
            self._library_there.set()
