"""The fenced blocks of a page, and what the page promises about each.

```bash, ```python   is run as it stands, in the order of the page
```sh, ```python     after `<!-- not run: reason -->` is not run, but checked against the real command line
anything else        is no command
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FENCE = re.compile(r"^ *```([\w-]*)[ \t]*$")
_NOT_RUN = re.compile(r"^<!-- not run: (\S.*) -->$")
_LOOKS_RUN = re.compile(
    r"^(?:\$ |(?:sudo |[A-Z_]+=\S+ )*(?:edgesdk|edgesdk-agent|scripts/\S+|pip|python3?|apt|apt-get|source)\s)"
)
_INDENTED = re.compile(r"^(?: {4,}|\t)(?=\S)")
_LANGUAGES = frozenset({"", "text", "json", "yaml", "toml", "ini", "python", "bash", "sh"})


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        line: of its opening fence, from 1.
        not_run: the reason that the page gives; empty where the block is to be run.
    """

    page: str
    line: int
    language: str
    text: str
    not_run: str = ""

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def runs(self) -> bool:
        return self.language in {"bash", "python"} and not self.not_run


def blocks_of(page: str, text: str) -> list[Block]:
    """Return the fenced blocks of a page in order."""
    found: list[Block] = []
    opened: tuple[int, str, str] | None = None
    held: list[str] = []
    reason = ""
    for number, line in enumerate(text.splitlines(), 1):
        fence = _FENCE.match(line)
        if opened is not None:
            if fence and not fence.group(1):
                body = "\n".join(held) + "\n"
                found.append(Block(page, *opened[:2], body, opened[2]))
                opened, held = None, []
            else:
                held.append(line)
        elif fence:
            opened, reason = (number, fence.group(1), reason), ""
        elif line.strip():
            told = _NOT_RUN.match(line.strip())
            reason = told.group(1) if told else ""
    return found


def faults_of_form(page: str, text: str) -> Iterator[str]:
    """Yield what is neither run nor told as not run."""
    blocks = blocks_of(page, text)
    for block in blocks:
        commands = [line for line in block.text.splitlines() if _LOOKS_RUN.match(line)]
        if block.language not in _LANGUAGES:
            yield f"{block.where}: ```{block.language} is neither run nor shown; use bash, sh, python, text or json"
        elif block.language == "sh" and not block.not_run:
            yield f"{block.where}: ```sh needs `<!-- not run: reason -->` before it; or make it ```bash, which is run"
        elif block.language == "bash" and block.not_run:
            yield f"{block.where}: ```bash is run; what is not run is ```sh"
        elif block.language in {"", "text"} and commands:
            yield f"{block.where}: {commands[0]!r} is a command in a block that is not checked"
    inside = {n for b in blocks for n in range(b.line, b.line + b.text.count("\n") + 2)}
    for number, line in enumerate(text.splitlines(), 1):
        if number not in inside and _INDENTED.match(line) and _LOOKS_RUN.match(line.strip()):
            yield f"{page}:{number}: {line.strip()!r} is an indented command; put it into a fence"


def spans_of(text: str) -> list[str]:
    """Return the `code` inside sentences, without the fenced blocks."""
    prose, fenced = [], False
    for line in text.splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            prose.append(line)
    return [re.sub(r"\s+", " ", span) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", "\n".join(prose))]
