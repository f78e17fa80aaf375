"""A data model whose checks are built when they are first used: a process starts with far more models than it uses.

Pydantic builds late by itself, but not where two threads come at once: the second would undo what the first has built.
"""

from __future__ import annotations

import threading
from typing import Any

from pydantic import BaseModel, ConfigDict

_BUILDING = threading.RLock()


class LateModel(BaseModel):
    """Fields that are checked, by checks that are built at their first use, one after the other."""

    model_config = ConfigDict(defer_build=True)

    @classmethod
    def model_rebuild(cls, **how: Any) -> bool | None:
        """Build the checks, unless another thread has done so meanwhile."""
        with _BUILDING:
            # All types were found when the class was made: none is looked for among the callers' local variables.
            return super().model_rebuild(**{**how, "_parent_namespace_depth": 0})
