"""A variant of several pictures an inference, as a session of one: everything that asks picture by picture works with it as it is.

The first row is what such a caller fills and reads; the others are computed as well, so that one picture alone costs as much as
all. Who has several pictures fills the rows himself, and pays once; see `Model.__call__`.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgesdk_targets.errors import InputError
from edgesdk_targets.runtimes.run_by_binding import RunByBinding
from edgesdk_targets.session import Binding, Load, Session, computes_on_caller, is_accelerated, open_load, passed_over
from edgesdk_targets.tensor import Array, TensorSpec


def open_batch(module: str, load: Load) -> BatchSession:
    """Load the file by its runtime's module; see `RuntimeEntry`.

    Raises:
        MissingExtra, SessionFailed: the runtime does not load it.
    """
    count = load.variant.pictures
    alone = load.variant.model_copy(update={"batch": None})
    session = open_load(module, Load(load.files, alone, load.inputs, load.outputs, load.options))
    return BatchSession(session, count)


def row_of(spec: TensorSpec, count: int) -> TensorSpec:
    """Return what one picture has of an input or output of several.

    Raises:
        InputError: the first dimension is not that of the pictures.
    """
    if not spec.shape or spec.shape[0] != count:
        raise InputError(
            f"{spec.name} is {list(spec.shape)}: what belongs to which of {count} pictures cannot be told.",
            hint="Let the model keep its first dimension for the pictures, or take one at a time.",
        )
    return spec.model_copy(update={"shape": (1, *spec.shape[1:])})


class BatchSession(RunByBinding):
    """A session of several pictures, used as one of one; it closes it.

    Attributes:
        batch: pictures of one inference.
    """

    def __init__(self, session: Session, count: int) -> None:
        self.batch = count
        self.inputs: tuple[TensorSpec, ...] = tuple(row_of(spec, count) for spec in session.inputs)
        self.outputs: tuple[TensorSpec, ...] = tuple(row_of(spec, count) for spec in session.outputs)
        self.streams = session.streams
        self.passed_over = passed_over(session)
        self.accelerated = is_accelerated(session)
        self.on_caller = computes_on_caller(session)
        self._session = session

    def bind(self, slots: int = 1) -> tuple[BatchBinding, ...]:
        return tuple(BatchBinding(binding, self.batch) for binding in self._session.bind(slots))

    def close(self) -> None:
        self._own = None
        self._session.close()


class BatchBinding:
    """One set of rows.

    Attributes:
        rows: each picture's inputs, by name; they are the runtime's memory, or copied into it.
        inputs: the first of them.
    """

    def __init__(self, binding: Binding, count: int) -> None:
        self._binding = binding
        self.rows = tuple(_row(binding.inputs, place) for place in range(count))
        self.inputs: Mapping[str, Array] = self.rows[0]
        for array in binding.inputs.values():
            # Rows that nobody fills are computed, too: what lies in fresh memory may be numbers that take long.
            array[...] = 0

    def run(self) -> Mapping[str, Array]:
        """Run all rows, and return what the first one's picture is answered; see `Binding`."""
        return _row(self._binding.run(), 0)

    def run_rows(self) -> tuple[Mapping[str, Array], ...]:
        """Run all rows, and return each one's answer; valid until this binding runs again."""
        outputs = self._binding.run()
        return tuple(_row(outputs, place) for place in range(len(self.rows)))

    def repeat(self) -> None:
        """Fill all rows with what the first one holds."""
        for row in self.rows[1:]:
            for name, array in row.items():
                array[...] = self.rows[0][name]


def _row(arrays: Mapping[str, Array], place: int) -> dict[str, Array]:
    return {name: array[place : place + 1] for name, array in arrays.items()}
