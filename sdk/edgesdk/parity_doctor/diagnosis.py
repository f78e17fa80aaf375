"""What the doctor says, as values: verdict, named mistakes with their mending, evidence, nearest candidates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["matches", "explained", "not explained"]


@dataclass(frozen=True, slots=True)
class Named:
    """One mistake, in words.

    Attributes:
        name: stable key of `mistakes.MISTAKES`.
        found: what the application does, where the name leaves it open.
        says: the same as a sentence.
        change: the line of code to change.
    """

    name: str
    found: str
    says: str
    change: str

    def to_json(self) -> dict[str, object]:
        return {"name": self.name, "found": self.found, "says": self.says, "change": self.change}


@dataclass(frozen=True, slots=True)
class Other:
    """A candidate that was not chosen.

    Attributes:
        mistakes: as `name` or `name:found`.
        grey_levels: what it leaves unexplained, root mean square; None for outputs.
        share: of the variance that it explains, 1 for all; a negative share is worse than guessing.
    """

    mistakes: tuple[str, ...]
    grey_levels: float | None
    share: float

    def to_json(self) -> dict[str, object]:
        levels = None if self.grey_levels is None else round(self.grey_levels, 2)
        return {"mistakes": list(self.mistakes), "grey_levels_left": levels, "share_explained": round(self.share, 4)}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found in one array.

    Attributes:
        subject: `input`, or the name of an output.
        mistakes: none where it matches, or where nothing explains it.
        before_db: SQNR against what the bundle's own code gives; None where the shapes cannot be compared.
        after_db: SQNR against what the named mistakes give.
        grey_levels: what they leave unexplained, root mean square; None for outputs.
        also: as many other mistakes that explain it as well.
        nearest: where nothing explains it.
    """

    subject: str
    verdict: Verdict
    mistakes: tuple[Named, ...]
    before_db: float | None
    after_db: float | None
    grey_levels: float | None
    also: tuple[Other, ...] = ()
    nearest: tuple[Other, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        return {
            "subject": self.subject,
            "verdict": self.verdict,
            "mistakes": [mistake.to_json() for mistake in self.mistakes],
            "sqnr_before_db": None if self.before_db is None else round(self.before_db, 1),
            "sqnr_after_db": None if self.after_db is None else round(self.after_db, 1),
            "grey_levels_left": None if self.grey_levels is None else round(self.grey_levels, 2),
            "also": [other.to_json() for other in self.also],
            "nearest": [other.to_json() for other in self.nearest],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class Parity:
    """What the doctor says of an application: of its input, and of its outputs where they were given."""

    input: Diagnosis
    outputs: tuple[Diagnosis, ...]

    @property
    def matches(self) -> bool:
        return all(d.verdict == "matches" for d in (self.input, *self.outputs))

    def to_json(self) -> dict[str, object]:
        return {
            "matches": self.matches,
            "input": self.input.to_json(),
            "outputs": [output.to_json() for output in self.outputs],
        }
