"""Run a page's blocks as its reader would: one after the other, in a folder that looks like the repository's root.

A command that ends in `&` is waited for until it says its first line, stopped by SIGTERM at the end of its block, and
has to end well. The port 1883 of the pages is replaced by a free one.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

from edgesdk_testkit.markdown_blocks import Block

TIMEOUT_S = 420
_DEFAULT_PORT = "1883"
_BACKGROUND = re.compile(r"^(?P<command>.*\S) &\s*$")
_START = r"""
set -euo pipefail
__jobs=()
trap 'for __job in ${__jobs[@]+"${__jobs[@]}"}; do kill -KILL "$__job" 2>/dev/null || true; done' EXIT
__started() {  # PID LOG: wait until a command in the background said something, or ended
    __jobs+=("$1")
    timeout 60 tail -n +1 -F --pid="$1" "$2" 2>/dev/null | head -n 1 >/dev/null || true
}
"""
_END = r"""
for __job in ${__jobs[@]+"${__jobs[@]}"}; do kill -TERM "$__job" 2>/dev/null || true; done
for __job in ${__jobs[@]+"${__jobs[@]}"}; do
    if ! wait "$__job"; then echo "a command in the background ended badly" >&2; exit 98; fi
done
"""


class DocShell:
    """A folder with copies of what the pages use, and the commands on the PATH."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder = folder
        shutil.copytree(
            root / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__", ".*_cache")
        )
        commands = folder / ".venv" / "bin"
        commands.mkdir(parents=True)
        # Written, not linked: an interpreter that is reached by a link looks for its packages beside the link.
        starts = {"edgesdk": " -m edgesdk", "edgesdk-agent": " -m edgesdk_agent.main", "python": ""}
        for name, module in starts.items():
            shim = commands / name
            shim.write_text(f'#!/bin/sh\nexec "{sys.executable}"{module} "$@"\n', encoding="utf-8")
            shim.chmod(0o755)
        # The pages begin with it; the commands are on the PATH already.
        (commands / "activate").write_text("", encoding="utf-8")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = str(free.getsockname()[1])

    def run(self, block: Block) -> subprocess.CompletedProcess[str]:
        """Run one block."""
        text = re.sub(rf"\b{_DEFAULT_PORT}\b", self._port, block.text)
        if block.language == "python":
            command = [sys.executable, "-c", text]
        else:
            command = ["bash", "-c", _START + "\n".join(self._line(i, t) for i, t in enumerate(_joined(text))) + _END]
        environment = {
            **os.environ,
            "PATH": f"{self.folder / '.venv' / 'bin'}:{os.environ.get('PATH', '')}",
            "COLUMNS": "120",
        }
        # A session of its own, so that a block that hangs is ended with everything that it started.
        process = subprocess.Popen(
            command, cwd=self.folder, env=environment, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        try:
            output, _ = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            output += f"\n(ended after {TIMEOUT_S} s)\n"
        return subprocess.CompletedProcess(command, process.returncode, output)

    def _line(self, number: int, line: str) -> str:
        background = _BACKGROUND.match(line)
        if not background:
            return line
        log = self.folder / f".job-{number}.log"
        log.write_text("", encoding="utf-8")
        return f"{background['command']} > '{log}' 2>&1 & __started $! '{log}'"


def _joined(text: str) -> list[str]:
    return re.sub(r"\\\n\s*", " ", text).splitlines()
