"""Where reports go: into the file that is named, further ones beside it; or all into the folder that is named."""

from __future__ import annotations

import glob
import re
from pathlib import Path

from edgesdk_targets.whole_file import check_writable

_PAGES = {".html", ".htm"}


def page_path(report: Path, name: str, *, first: bool = False) -> Path:
    """Return the file of the page about `name`; the first page takes the name that the user gave.

    Args:
        report: a file (`.html`), or else a folder.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "artifact"
    if _is_folder(report):
        return report / f"{plain}.html"
    return report if first else report.with_stem(f"{report.stem}-{plain}")


def pages_at(report: Path) -> list[Path]:
    """Return the pages that lie there."""
    if _is_folder(report):
        return sorted(path for path in report.glob("*") if path.suffix.lower() in _PAGES)
    return sorted(report.parent.glob(f"{glob.escape(report.stem)}*{report.suffix}"))


def check_report(report: Path) -> None:
    """Refuse a place where no page could be written, before long work is done for it.

    Raises:
        InputError: nothing can be written there.
    """
    check_writable(page_path(report, "page", first=True), "--report")


def _is_folder(report: Path) -> bool:
    return report.suffix.lower() not in _PAGES
