"""Train and score the two readers of rows, the whole-picture one and the streaming one, by CTC."""

from __future__ import annotations

import torch
from digits_inputs import Inputs
from digits_models import STATE, RowReader, RowReaderStream
from digits_scores import greedy_text
from make_data import Digits
from render_pictures import ROW_HEIGHT, STRIP_WIDTH, Renderer, Row
from torch import Tensor
from torch.nn import functional
from train_loop import fit

STEPS, BATCH, PEAK_RATE = 1200, 48, 4e-3
_STREAM_STEPS, _STREAM_BATCH, _STREAM_STRIPS, _STREAM_ROWS = 1500, 24, 48, 2
_SPREAD = 2.5  # with 1258 different digits, wilder writing than is tested makes up for more writers


def train(digits: Digits, seed: int) -> RowReader:
    """Train the reader of whole rows on rows rendered from `digits`."""
    model, source, inputs = RowReader(), Renderer(digits, seed, spread=_SPREAD), Inputs("row_reader")

    def step(_: int) -> Tensor:
        rows = [source.row() for _ in range(BATCH)]
        return _ctc(model(inputs.batch([row.image for row in rows])), rows)

    fit(model, step, steps=STEPS, peak_rate=PEAK_RATE, name="row_reader")
    return model


def train_stream(digits: Digits, seed: int) -> RowReaderStream:
    """Train the streaming reader on belts with two rows, so that its memory outlives a row."""
    model, source = RowReaderStream(), Renderer(digits, seed, spread=_SPREAD)
    inputs = Inputs("row_reader_stream", size=(ROW_HEIGHT // 2, _STREAM_STRIPS * model.strip))

    def step(_: int) -> Tensor:
        rows = [source.stream(_STREAM_STRIPS, _STREAM_ROWS) for _ in range(_STREAM_BATCH)]
        return _ctc(model.sequence(inputs.batch([row.image for row in rows])), rows)

    fit(model, step, steps=_STREAM_STEPS, peak_rate=PEAK_RATE, name="row_reader_stream")
    return model


def evaluate(model: RowReader, digits: Digits, *, seed: int = 100, rows: int = 1000) -> float:
    """Return the share of rows that are read without any error."""
    source, inputs = Renderer(digits, seed), Inputs("row_reader")
    drawn = [source.row() for _ in range(rows)]
    with torch.inference_mode():
        logits = model(inputs.batch([row.image for row in drawn])).numpy()
    return sum(greedy_text(one) == row.text for one, row in zip(logits, drawn, strict=True)) / rows


def evaluate_stream(model: RowReaderStream, digits: Digits, *, seed: int = 100, rows: int = 1000) -> float:
    """Return the share of rows read without any error, strip after strip with a carried state."""
    source, inputs = Renderer(digits, seed), Inputs("row_reader_stream")
    drawn = [source.row() for _ in range(rows)]
    h, seen, answers = torch.zeros(1, rows, STATE), torch.zeros(rows, 1, ROW_HEIGHT // 2, model.kept), []
    with torch.inference_mode():
        for left in range(0, drawn[0].image.shape[1], STRIP_WIDTH):
            strips = [row.image[:, left : left + STRIP_WIDTH] for row in drawn]
            logits, h, seen = model(inputs.batch(strips), h, seen)
            answers.append(logits)
    read = torch.cat(answers, dim=1).numpy()
    return sum(greedy_text(one) == row.text for one, row in zip(read, drawn, strict=True)) / rows


def _ctc(logits: Tensor, rows: list[Row]) -> Tensor:
    symbols = torch.tensor([int(digit) + 1 for row in rows for digit in row.text])
    lengths = torch.tensor([len(row.text) for row in rows])
    steps = torch.full((len(rows),), logits.shape[1])
    return functional.ctc_loss(logits.log_softmax(2).transpose(0, 1), symbols, steps, lengths)
