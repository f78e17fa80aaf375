"""One model with all that is needed to build and judge it; each is made when it is first asked for."""

from __future__ import annotations

import time
from functools import cached_property
from pathlib import Path

from edgesdk_converters.source import Source, resolve_source
from table.cases import Case, Places
from table.figures import Exam
from table.float_model import FloatAnswers, ask_float
from table.kept import Kept
from table.keys import float_key


class Prepared:
    """A model of the table, its card, its pictures, and what it answers in float."""

    def __init__(self, case: Case, places: Places, kept: Kept) -> None:
        self.case = case
        self.places = places
        self._kept = kept

    @cached_property
    def card(self) -> Path:
        return self.case.card(self.places)

    @cached_property
    def source(self) -> Source:
        return resolve_source(self.card)

    @cached_property
    def calibration(self) -> Path:
        return self.case.calibration(self.places)

    @cached_property
    def exam(self) -> Exam:
        return self.case.exam(self.places)

    @cached_property
    def float_answers(self) -> FloatAnswers:
        """What the float model answers, from an earlier run where nothing has changed since."""
        key, name = float_key(self.places.assets, self.places.every), self.case.name
        content = self._kept.fresh("float", name, key)
        if content is None:
            begun = time.monotonic()
            content = {"answers": ask_float(self.source, self.exam.pictures)}
            self._kept.put("float", name, key, content, time.monotonic() - begun)
        return FloatAnswers(self.exam.pictures, content["answers"], self.source.card.task, self.source.card_file.labels)
