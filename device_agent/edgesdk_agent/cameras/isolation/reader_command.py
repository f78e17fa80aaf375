"""How the process in which a camera is read is started; the parent imports no more of it than this."""

from __future__ import annotations

import os
import sys


def command(line: int) -> list[str]:
    """Return the command that starts the reader, with the parent's places to look for modules.

    Args:
        line: the descriptor of the child's end of the line.
    """
    program = (
        "import sys; sys.path[:] = sys.argv.pop(1).split('\\n'); "
        "from edgesdk_agent.cameras.isolation.reader_child import main; main()"
    )
    return [sys.executable, "-c", program, "\n".join(os.fspath(place) for place in sys.path), str(line)]
