"""`Session.run` in terms of `Session.bind`: a session's own binding is filled, run, and read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgesdk_targets.tensor import Array, TensorSpec, check_feeds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgesdk_targets.session import Binding


class RunByBinding(ABC):
    """The convenient form of a session that has the fast one.

    Attributes:
        inputs: set by the session.
    """

    inputs: tuple[TensorSpec, ...]
    _own: Binding | None = None

    @abstractmethod
    def bind(self, slots: int = 1) -> Sequence[Binding]:
        """Return slots to run with; see `Session`."""

    def run(self, feeds: Mapping[str, Array]) -> Mapping[str, Array]:
        """Run once; outputs are valid until the next run."""
        check_feeds(self.inputs, feeds)
        if self._own is None:
            self._own = self.bind()[0]
        for name, array in self._own.inputs.items():
            array[...] = feeds[name]
        return self._own.run()
