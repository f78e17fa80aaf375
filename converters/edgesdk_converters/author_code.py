"""The code of a model's author: factories and functions by their names, imported from the folder of the card.

It is the user's own code and is run; whatever it raises is told as its error.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk_targets.errors import EdgeError, InputError

if TYPE_CHECKING:
    import torch

# Where the code of the factory lies that is being called.
_FOLDER: ContextVar[Path | None] = ContextVar("edgesdk_factory_folder", default=None)


def build(factory: str, arguments: Mapping[str, Any], folder: Path) -> torch.nn.Module:
    """Import and call a factory `package.module:function`.

    Raises:
        InputError: it cannot be imported, raises, or returns no module.
    """
    import torch

    with _on_path(folder):
        function = _imported(factory, folder, "The factory")
        try:
            module = function(**arguments)
        except EdgeError:
            raise
        except (Exception, SystemExit) as error:  # the user's function may raise anything
            raise _failed(factory, "The factory", error) from error
    if not isinstance(module, torch.nn.Module):
        raise InputError(
            f"The factory {factory!r} returned {type(module).__name__}, not a torch.nn.Module.",
            hint="Let it return the model.",
        )
    return module


def named_function(name: str, folder: Path) -> Callable[..., Any]:
    """Import a function `package.module:function` that a model's author brings, such as a loss.

    Args:
        folder: of the model card; put on the import path meanwhile.

    Raises:
        InputError: it cannot be imported, or is no function.
    """
    if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", name):
        raise InputError(f"{name!r} names no function.", hint="Write package.module:function.")
    with _on_path(folder):
        function = _imported(name, folder, "The function")
    if not callable(function):
        raise InputError(f"{name!r} is no function.", hint="Name something that can be called.")
    return function


def _imported(name: str, folder: Path, what: str) -> Callable[..., Any]:
    module_name, _, function_name = name.partition(":")
    _forget_namesake(module_name, folder)
    try:
        function: Callable[..., Any] = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"{what} {name!r} cannot be imported: {error}.",
            hint=f"Put {module_name.split('.')[0]}.py beside the model card, or install its package.",
        ) from error
    except (Exception, SystemExit) as error:  # the user's module may raise anything
        raise _failed(name, what, error) from error
    return function


def build_beside(factory: str, arguments: Mapping[str, Any]) -> torch.nn.Module:
    """Call another factory from within one: its code is looked for where that of the outer one was.

    Raises:
        InputError: as of `build`.
    """
    # Called from outside of `build` it is a program that calls the outer factory: its own folder is the first of the import path.
    return build(factory, arguments, _FOLDER.get() or Path(sys.path[0]))


def _forget_namesake(module_name: str, folder: Path) -> None:
    """Forget a module of the same name that came from another card's folder."""
    top = module_name.split(".", maxsplit=1)[0]
    if not ((folder / f"{top}.py").is_file() or (folder / top).is_dir()):
        return
    loaded = getattr(sys.modules.get(top), "__file__", None)
    if loaded is not None and folder.resolve() not in Path(loaded).resolve().parents:
        for name in [name for name in sys.modules if name == top or name.startswith(f"{top}.")]:
            del sys.modules[name]


@contextmanager
def _on_path(folder: Path) -> Iterator[None]:
    entry, outer = str(folder), _FOLDER.set(folder)
    sys.path.insert(0, entry)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        _FOLDER.reset(outer)
        with suppress(ValueError):  # the user's code may have taken it out
            sys.path.remove(entry)


def _failed(name: str, what: str, error: BaseException) -> InputError:
    return InputError(
        f"{what} {name!r} failed: {type(error).__name__}: {error}",
        hint="Run it by itself in Python until it returns the model."
        if what == "The factory"
        else "Import it in Python.",
    )
