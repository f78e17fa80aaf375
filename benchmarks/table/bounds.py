"""What was asked of INT8, and where the table falls short of it: nothing is left out silently."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Model = Mapping[str, Any]
Row = Mapping[str, Any]

# What INT8 may lie below that of a tool's own script, as fractions: half a point of answers, a point of AP50.
_ROOM, _ROOM_OF = 0.005, {"AP50": 0.01}
_ALL = ("ONNX Runtime", "OpenVINO", "LiteRT", "TensorRT")
_FOLDED = ("OpenVINO", "LiteRT")


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing that the INT8 artifacts of a model are to reach.

    Attributes:
        what: the figure's name, for people.
        measure: (model, its INT8 row) → the figure, None where it is not measured.
        least, most: one of them.
    """

    model: str
    families: tuple[str, ...]
    what: str
    measure: Callable[[Model, Row], float | None]
    least: float | None = None
    most: float | None = None

    def holds(self, value: float) -> bool:
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def in_words(self) -> str:
        return f"{self.what}: {f'at least {self.least:g}' if self.least is not None else f'at most {self.most:g}'}"


def _figure(name: str) -> Callable[[Model, Row], float | None]:
    return lambda _model, row: row["figures"][name]["value"]


def _words_apart(model: Model, row: Row) -> float:
    before, after = model["float"]["words right"], row["figures"]["words right"]
    return float(round(abs(before["value"] - after["value"]) * after["n"]))


def _times_smaller(model: Model, row: Row) -> float | None:
    plain = next(r for r in model["rows"] if (r["family"], r["precision"]) == (row["family"], "fp32"))
    return round(plain["bytes"] / row["bytes"], 2) if "bytes" in plain else None


def _speed(_model: Model, row: Row) -> float | None:
    return row["speedup_over_eager"]["value"] if "speedup_over_eager" in row else None


ASKED = (
    Asked("digits_classifier", _ALL, "top-1 lost", _figure("top-1 lost"), most=0.005),
    Asked(
        "mobilenet_v2",
        ("ONNX Runtime", "OpenVINO", "TensorRT"),
        "agrees with float",
        _figure("agrees with float"),
        0.95,
    ),
    Asked("mobilenet_v2", ("LiteRT",), "agrees with float", _figure("agrees with float"), 0.91),
    Asked("fastestdet", _ALL, "F1 with float", _figure("F1 with float"), 0.93),
    Asked("crnn_reader", _ALL, "words more or fewer right than float", _words_apart, most=1.0),
    Asked("mobilenet_v2", _ALL, "times smaller than fp32", _times_smaller, 3.4),
    Asked("mobilenet_v2", _FOLDED, "times as fast as PyTorch eager", _speed, 6.5),
    Asked("fastestdet", _FOLDED, "times as fast as PyTorch eager", _speed, 4.0),
)


def judged(models: Iterable[Model]) -> list[dict[str, Any]]:
    """Compare the table with what was asked.

    Returns:
        one `{"model", "family", "asked", "measured", "holds"}` for each family of each demand; `measured` and `holds` are None
        where it is not measured yet, and of an artifact that could not be built `holds` is false, with `why`.
    """
    by_name = {model["model"]: model for model in models}
    return [
        _line(asked, by_name[asked.model], family)
        for asked in ASKED
        if asked.model in by_name
        for family in asked.families
    ]


def _line(asked: Asked, model: Model, family: str) -> dict[str, Any]:
    line = {"model": asked.model, "family": family, "asked": asked.in_words()}
    row = next(r for r in model["rows"] if (r["family"], r["precision"]) == (family, "int8"))
    if "figures" not in row:
        return {**line, "measured": None, "holds": False, "why": row.get("failure", "not built")}
    value = asked.measure(model, row)
    return {**line, "measured": value, "holds": None if value is None else asked.holds(value)}


def no_worse(model: Model, by_hand: Row, row: Row) -> dict[str, bool]:
    """Tell of the main figure, and of AP50 where there is one, whether an INT8 row is no worse than a script's.

    A script that happens to do better than float itself sets no higher mark than float.
    """
    found = {}
    for name in dict.fromkeys((model["main"], "AP50")):
        if name in by_hand["figures"] and name in row["figures"]:
            before, other, own = (
                one["value"] for one in (model["float"][name], by_hand["figures"][name], row["figures"][name])
            )
            found[name] = own >= min(before, other) - _ROOM_OF.get(name, _ROOM) - 1e-9
    return found
