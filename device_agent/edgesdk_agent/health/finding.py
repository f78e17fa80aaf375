"""What one check says: a level, why, and what a person can do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """How bad it is; the worst of all checks counts."""

    OK = 0
    WARNING = 1
    FAILING = 2

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer of one check.

    Attributes:
        check: its name, that of its file.
        level: how bad it is.
        reason: one sentence with the figures; also where all is well.
        hint: what to do; empty where all is well.
        subject: which camera, where the check is about one of several.
    """

    check: str
    level: Level
    reason: str
    hint: str = ""
    subject: str = ""

    @property
    def key(self) -> str:
        """What the finding is about: two findings of one key follow each other."""
        return f"{self.check}:{self.subject}" if self.subject else self.check

    def to_json(self) -> dict[str, str]:
        """Return the fields that are not empty."""
        told = {"check": self.check, "subject": self.subject, "level": self.level.word}
        return {name: text for name, text in {**told, "reason": self.reason, "hint": self.hint}.items() if text}
