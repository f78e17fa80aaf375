"""One HTML report: a single file without outside requests, light and dark, readable without colour.

Text is escaped by the template; pictures and plots are embedded. A report is written whole or not at all.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgesdk_targets.errors import MissingExtra
from edgesdk_targets.whole_file import write_whole


@dataclass(slots=True)
class Page:
    """A report under construction; sections come out in the order in which they were added."""

    title: str
    summary: str = ""
    _blocks: list[dict[str, Any]] = field(default_factory=list)

    def heading(self, text: str) -> Page:
        """Begin a section."""
        return self._add(kind="heading", text=text)

    def text(self, text: str) -> Page:
        """Add a paragraph."""
        return self._add(kind="text", text=text)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> Page:
        """Add a table of plain cells."""
        return self._add(kind="table", columns=list(columns), rows=[list(row) for row in rows], caption=caption)

    def figure(self, svg: str, caption: str) -> Page:
        """Add a plot of `edgesdk.report.plots`; the caption says in words what it shows."""
        return self._add(kind="figure", svg=svg, caption=caption)

    def pictures(self, pictures: Sequence[tuple[bytes, str]], caption: str = "") -> Page:
        """Add pictures side by side, each as (JPEG or PNG bytes, its own caption)."""
        shown = [{"source": _data_url(data), "caption": text} for data, text in pictures]
        return self._add(kind="pictures", pictures=shown, caption=caption)

    def html(self) -> str:
        """Return the finished page.

        Raises:
            MissingExtra: Jinja2 is not installed.
        """
        try:
            import jinja2
        except ModuleNotFoundError as error:
            raise MissingExtra("Jinja2", "report") from error
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
        )
        page = environment.get_template("page.html.jinja")
        return page.render(title=self.title, summary=self.summary, blocks=self._blocks)

    def write(self, path: Path) -> Path:
        """Write the page to a file and return its path.

        Raises:
            InputError, NoSpace: the file cannot be written.
        """
        write_whole(path, self.html().encode())
        return path

    def _add(self, **block: Any) -> Page:
        self._blocks.append(block)
        return self


def _data_url(data: bytes) -> str:
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
