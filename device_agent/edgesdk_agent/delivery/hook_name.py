"""A hook by its name, `package.module:function`: how a configuration names it, and how another process finds it.

Nothing is pickled. A name is looked up where Python looks for modules and, after all of that, in one folder the
configuration names, so that a file there can never take the place of a module of ours or of Python's.
"""

from __future__ import annotations

import importlib
import keyword
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from edgesdk_agent.delivery.plain_function import check_plain
from edgesdk_targets.errors import InputError

_HINT = "Name a function at the top of a module: package.module:function."
_FOLDER_HINT = "Name its folder by hooks_path (in Python: HookSettings(folder=…)), and see how it is spelt."


@dataclass(frozen=True, slots=True)
class HookName:
    """Where a hook is.

    Attributes:
        module: dotted.
        function: its name in the module, dotted where it is in a class.

    Raises:
        InputError: a part is no Python name.
    """

    module: str
    function: str

    def __post_init__(self) -> None:
        for part in (*self.module.split("."), *self.function.split(".")):
            if not part.isidentifier() or keyword.iskeyword(part):
                raise InputError(f"{str(self)!r} names no function: {part!r} is no Python name.", hint=_HINT)

    @classmethod
    def parse(cls, text: str) -> HookName:
        """Read `package.module:function`.

        Raises:
            InputError: it is not of that form.
        """
        module, colon, function = text.partition(":")
        if not colon:
            raise InputError(f"{text!r} names no function.", hint=_HINT)
        return cls(module, function)

    @classmethod
    def of(cls, function: Callable[..., Any]) -> HookName:
        """Return the name under which another process finds this function.

        Raises:
            InputError: it has none: a lambda, a function inside another, a method, or one of the script itself.
        """
        module = getattr(function, "__module__", None) or ""
        qualified = getattr(function, "__qualname__", None) or type(function).__qualname__
        if module == "__main__":
            raise InputError(
                f"{qualified} is in the script itself, which another process cannot import.",
                hint="Put it into a module of its own beside the script, or deliver with isolate=thread.",
            )
        if "<" in qualified or _resolved(sys.modules.get(module), qualified) is not function:
            raise InputError(f"{qualified} has no name by which another process could import it.", hint=_HINT)
        return cls(module, qualified)

    @classmethod
    def given(cls, hook: str | Callable[..., Any]) -> HookName:
        """Return the name of a function that is given by it, or by itself; see `parse` and `of`."""
        return cls.parse(hook) if isinstance(hook, str) else cls.of(hook)

    def load(self, folder: Path | None = None) -> Callable[..., Any]:
        """Import the module and return the function.

        Args:
            folder: where to look after everything else.

        Raises:
            InputError: there is no such module, it cannot be imported, or it has no such function, or an `async def`.
        """
        if folder is not None and str(folder) not in sys.path:
            sys.path.append(str(folder))
        module = self._imported()
        hook = _resolved(module, self.function)
        if not callable(hook):
            what = "has no" if hook is None else "cannot be called:"
            raise InputError(f"The module {self.module} {what} {self.function}.", hint=_functions_of(module))
        check_plain(hook, str(self))
        function: Callable[..., Any] = hook
        return function

    def _imported(self) -> ModuleType:
        try:
            return importlib.import_module(self.module)
        except (Exception, SystemExit) as error:  # a plug-in's border: its import may raise anything
            if isinstance(error, ModuleNotFoundError) and f"{self.module}.".startswith(f"{error.name}."):
                raise InputError(f"There is no module {error.name} for the hook {self}.", hint=_FOLDER_HINT) from error
            said = f"{type(error).__name__}: {error}".splitlines()[0]
            message = f"The module {self.module} of the hook {self} cannot be imported: {said}"
            raise InputError(message, hint="Run with --debug to see where.") from error

    def __str__(self) -> str:
        return f"{self.module}:{self.function}"


def _resolved(module: object, qualified: str) -> Any:
    found = module
    for name in qualified.split("."):
        found = getattr(found, name, None)
    return found


def _functions_of(module: ModuleType) -> str:
    own = sorted(
        name
        for name, value in vars(module).items()
        if callable(value) and not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    )
    return f"It has {', '.join(own)}." if own else "It has no function at all."
