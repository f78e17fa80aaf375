"""Phase "emulate": a Raspberry Pi 5's own builds of the runtimes, on its own instructions, against this machine.

The golden sets are run, pictures of the exam are answered there and here, and the figures compared. An artifact whose weights
were altered has to fail there, in fp32 and in INT8. How long it takes says nothing about the board, and is not kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2

from edgesdk.emulate.board import BOARDS
from edgesdk.emulate.root import EmulatedBoard, set_up
from edgesdk.emulate.verify import BoardAnswers, verify_on_board
from edgesdk.evaluate.answers import each_alone
from edgesdk.evaluate.intervals import Metric
from edgesdk_targets.decode.postprocess import judged_with
from edgesdk_targets.model import load_model
from edgesdk_targets.results import Result
from edgesdk_targets.session import SessionOptions
from edgesdk_targets.tensor import Array
from table.altered import altered
from table.build import Say, bundle_of
from table.figures import Exam
from table.float_model import FloatAnswers, ask_float
from table.prepared import Prepared

BOARD = "rpi5"
PRECISIONS = ("fp32", "int8")
# Figures over boxes move where two detections of nearly the same score change places, and by no less than one of them; a share of
# pictures, by one picture.
_BOXES_APART, _PICTURES_APART = 0.02, 1
# By how much one weight tensor is scaled: in INT8 a twentieth is less than what rounding to 8 bits does.
_ALTERED = {"fp32": 1.05, "int8": 1.5}


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the board and this machine are asked."""

    exam: Exam
    wanted: Sequence[Result]
    files: tuple[Path, ...]
    task: str
    labels: tuple[str, ...]


def emulate_family(model: Prepared, exam: Exam, cells: Mapping[str, dict[str, Any]], say: Say) -> dict[str, Any]:
    """Check the fp32 and the INT8 artifact of a family on the emulated board.

    Args:
        exam: few pictures; the board is slow.

    Returns:
        precision → `{"golden", "why", "outputs", "figures": {name: {"board", "here", "within", "holds"}}, "pictures", "holds"}`;
        under "altered" with the precision, whether one with other weights was found out, where the family's format can be altered.
    """
    board = set_up(BOARDS[BOARD], say=say)
    card, labels = model.source.card, model.source.card_file.labels
    wanted = FloatAnswers(exam.pictures, ask_float(model.source, exam.pictures), card.task, labels).results
    found: dict[str, Any] = {}
    with TemporaryDirectory(prefix="edgesdk-emulated-") as scratch:
        files = tuple(_written(Path(scratch), place, picture) for place, picture in enumerate(exam.pictures))
        asked = _Asked(exam, wanted, files, card.task, labels)
        for precision in PRECISIONS:
            bundle = bundle_of(cells[precision], model.places.scratch)
            if bundle is None:
                found[precision] = {"holds": False, "why": cells[precision].get("failure", "not built")}
                continue
            say(precision)
            found[precision] = _checked(board, bundle, cells[precision]["variant"], asked)
            wrong = Path(scratch) / "altered.edgebundle"
            if altered(bundle, cells[precision]["variant"], _ALTERED[precision], wrong):
                say(f"{precision} with other weights")
                found[f"altered {precision}"] = _found_out(board, wrong, cells[precision]["variant"], asked)
    return found


def _checked(board: EmulatedBoard, bundle: Path, variant: str, asked: _Asked) -> dict[str, Any]:
    settings = judged_with(asked.task)
    (there,) = verify_on_board(
        board,
        bundle,
        [variant],
        task=asked.task,
        labels=asked.labels,
        pictures=asked.files,
        postprocess=settings,
    )
    if there.problem is not None:
        return {"holds": False, "why": there.problem}
    with load_model(bundle, variant=variant, options=SessionOptions(threads=1), postprocess=settings) as loaded:
        here = asked.exam.answers(each_alone(loaded))
    figures = _compared(asked.exam, list(asked.wanted), list(there.results), here)
    golden, why = _golden(there)
    holds = golden == "pass" and all(figure["holds"] for figure in figures.values())
    told = {"golden": golden, "why": why, "outputs": _outputs(there)}
    return {**told, "figures": figures, "pictures": len(asked.files), "holds": holds}


def _compared(exam: Exam, wanted: list[Result], there: list[Result], here: list[Result]) -> dict[str, Any]:
    """Return each figure of both machines, and whether they are the same within what is allowed."""
    on_board, on_this, one = exam.figures(wanted, there), exam.figures(wanted, here), exam.one_detection(wanted)
    return {
        name: _pair(name, on_board[name], figure, one.get(name, 0.0))
        for name, figure in on_this.items()
        if "lost" not in name
    }


def _pair(name: str, board: Metric, here: Metric, one_detection: float) -> dict[str, Any]:
    over_boxes = name.startswith(("AP50", "F1"))
    within = max(_BOXES_APART, one_detection) if over_boxes else _PICTURES_APART / here.n
    # Shares of the same n pictures: equal but for rounding, or apart by whole pictures.
    holds = abs(board.value - here.value) <= within + 1e-9
    return {"board": round(board.value, 6), "here": round(here.value, 6), "within": round(within, 6), "holds": holds}


def _golden(answers: BoardAnswers) -> tuple[str, str]:
    if answers.golden is None:
        return "none", answers.problem or ""
    return str(answers.golden["verdict"]), str(answers.golden.get("why") or "")


def _outputs(answers: BoardAnswers) -> str:
    """Return how near the raw outputs are, in words; nothing where it did not come so far."""
    stages = answers.golden["stages"] if answers.golden else ()
    return next((str(stage["worst"]) for stage in stages if stage["stage"] == "inference"), "")


def _found_out(board: EmulatedBoard, bundle: Path, variant: str, asked: _Asked) -> dict[str, Any]:
    (there,) = verify_on_board(board, bundle, [variant], task=asked.task, labels=asked.labels)
    golden, why = _golden(there)
    return {"golden": golden, "why": why, "holds": golden == "fail"}


def _written(folder: Path, place: int, picture: Array) -> Path:
    path = folder / f"{place:04}.png"
    cv2.imwrite(str(path), picture)
    return path
