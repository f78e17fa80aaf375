"""What is wrong with a page, for who has a phone, sees little, or hears it: looked at in the browser that shows it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from edgesdk_testkit.browser import Browser

_HERE = Path(__file__)
_CHECKS = _HERE.with_name("page_checks.js").read_text("utf-8")
_CUT_OFF = """[...document.querySelectorAll('.side li a span')]
    .filter(one => one.scrollWidth > one.clientWidth).map(one => one.innerText)"""
_AXE = """axe.run({resultTypes: ['violations']}).then(found => found.violations
    .filter(one => ['serious', 'critical'].includes(one.impact))
    .map(one => one.id + ': ' + one.nodes[0].html.slice(0, 150)))"""


def axe_core() -> str:
    """Return axe-core's script, or the reason why it is not here, after a `!`."""
    spec = importlib.util.spec_from_file_location("edgesdk_frontend", _HERE.parents[3] / "scripts/frontend.py")
    assert spec is not None
    assert spec.loader is not None
    frontend: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(frontend)
    try:
        return str((frontend.ensure_checks() / "axe.min.js").read_text("utf-8"))
    except frontend.FrontendMissing as missing:
        return f"!{missing}"


def serious_of_axe(browser: Browser, axe: str) -> list[str]:
    """Return what axe-core finds serious or critical on the page that is open."""
    browser.run(f"{axe};0")
    found: list[str] = browser.run(_AXE)
    return found


def page_faults(browser: Browser, width: int, axe: str = "!") -> list[str]:
    """Return, in words, what is wrong with the page that is open.

    Args:
        width: of the screen, in pixels.
        axe: axe-core's script; left out where it begins with `!`.
    """
    found = []
    if (needed := browser.run("document.documentElement.scrollWidth")) > width:
        found.append(f"{needed} pixels wide")
    if not browser.run("[...document.querySelectorAll('.table')].every(one => one.scrollWidth <= one.clientWidth)"):
        found.append("a table is cut off")
    found += [f"cut off: {one}" for one in browser.run(_CUT_OFF)]
    if (headings := browser.run("document.querySelectorAll('h1').length")) != 1:
        found.append(f"{headings} headings of the first level")
    found += [f"has no name: {one}" for one in browser.run(f"{_CHECKS}.nameless()")]
    found += [f"too faint: {one}" for one in browser.run(f"{_CHECKS}.faint()")]
    if not axe.startswith("!"):
        found += serious_of_axe(browser, axe)
    return found
