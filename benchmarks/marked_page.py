"""A page whose figures are written by a program, between two marks; the rest of it is written by hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgesdk_targets.errors import InputError


@dataclass(frozen=True, slots=True)
class Marks:
    """Where the figures stand.

    Attributes:
        what: `figures` or `table`.
        written_by: the program, by its path in the repository.
    """

    what: str
    written_by: str

    @property
    def begin(self) -> str:
        return f"<!-- {self.what}: begin; written by {self.written_by} -->"

    @property
    def end(self) -> str:
        return f"<!-- {self.what}: end -->"

    def check(self, page: Path) -> None:
        """Raise InputError unless the page has both marks."""
        self._parts(page)

    def replace(self, page: Path, text: str) -> None:
        """Put a text in place of what is between the marks.

        Raises:
            InputError: the page has no marks.
        """
        before, after = self._parts(page)
        page.write_text(f"{before}{self.begin}\n\n{text}\n{self.end}{after}", "utf-8")

    def _parts(self, page: Path) -> tuple[str, str]:
        text = page.read_text("utf-8")
        if self.begin not in text or self.end not in text:
            raise InputError(
                f"{page} has no marks for the {self.what}.", hint=f"Put {self.begin} and {self.end} into it."
            )
        before, _, rest = text.partition(self.begin)
        return before, rest.partition(self.end)[2]
