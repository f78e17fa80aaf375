"""Train and score the two readers of rows, the whole-picture one and the streaming one, by CTC."""

from __future__ import annotations

from typing import cast

import torch
from digits_inputs import Inputs, card_file
from digits_models import STATE, RowReader, RowReaderStream
from digits_scores import greedy_text
from drawn_training import fit_drawn
from make_data import Digits
from render_pictures import ROW_HEIGHT, STRIP_WIDTH, Renderer, Row
from torch import Tensor
from torch.nn import functional

from edgesdk.train.batch import Batch, TextTargets
from edgesdk.train.moment import Moment

STEPS, BATCH, PEAK_RATE = 1200, 48, 4e-3
_STREAM_STEPS, _STREAM_BATCH, _STREAM_STRIPS, _STREAM_ROWS = 1500, 24, 48, 2
_SPREAD = 2.5  # with 1258 different digits, wilder writing than is tested makes up for more writers


def train(digits: Digits, seed: int) -> RowReader:
    """Train the reader of whole rows on rows rendered from `digits`."""
    model, source, inputs = RowReader(), Renderer(digits, seed, spread=_SPREAD), Inputs("row_reader")

    fit_drawn(
        model,
        card_file("row_reader"),
        lambda count: _batch(inputs, [source.row() for _ in range(count)]),
        steps=STEPS,
        batch=BATCH,
        peak_rate=PEAK_RATE,
        seed=seed,
    )
    return model


def train_stream(digits: Digits, seed: int) -> RowReaderStream:
    """Train the streaming reader on belts with two rows, so that its memory outlives a row."""
    model, source = RowReaderStream(), Renderer(digits, seed, spread=_SPREAD)
    inputs = Inputs("row_reader_stream", size=(ROW_HEIGHT // 2, _STREAM_STRIPS * model.strip))

    fit_drawn(
        model,
        card_file("row_reader_stream"),
        lambda count: _batch(inputs, [source.stream(_STREAM_STRIPS, _STREAM_ROWS) for _ in range(count)]),
        steps=_STREAM_STEPS,
        batch=_STREAM_BATCH,
        peak_rate=PEAK_RATE,
        seed=seed,
        loss=_whole_belts,
    )
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


def _batch(inputs: Inputs, rows: list[Row]) -> Batch:
    symbols = torch.tensor([int(digit) for row in rows for digit in row.text])
    lengths = torch.tensor([len(row.text) for row in rows])
    return Batch(inputs.batch([row.image for row in rows]), TextTargets(symbols, lengths))


def _whole_belts(moment: Moment) -> Tensor:
    """Return the loss of the streaming reader, which learns from whole belts and is asked strip by strip."""
    model, truth = cast("RowReaderStream", moment.model), cast("TextTargets", moment.targets)
    logits = model.sequence(moment.images)
    steps = torch.full((len(logits),), logits.shape[1])
    # The blank is the first class.
    return functional.ctc_loss(logits.log_softmax(2).transpose(0, 1), truth.symbols + 1, steps, truth.lengths)
