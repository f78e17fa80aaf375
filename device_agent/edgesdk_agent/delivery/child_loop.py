"""What a child process does with its line: be ready, take one message after the other, and answer each, until it is closed."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection

from edgesdk_targets.child_watch import behave_as_child
from edgesdk_targets.errors import EdgeError

# First byte of an answer; what follows is the answer, a text, or of a refusal a JSON object.
READY, REFUSED, TAKEN, RAISED = b"+", b"-", b"t", b"r"
_LONGEST_TEXT = 8192


def serve(line: int, begin: Callable[[], Callable[[bytes], bytes]]) -> None:
    """Answer messages until the parent closes the line, or goes.

    Args:
        line: the descriptor of this end of it.
        begin: returns what answers a message; raises EdgeError where there is nothing that could.
    """
    # The parent says when to end. A service manager tells every process of the service, and results still come.
    # A handler that does nothing, and not SIG_IGN, which a program that is started here would inherit.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    behave_as_child()
    with Connection(line) as connection:
        try:
            answered = begin()
        except EdgeError as error:
            refusal = {"message": error.message, "hint": error.hint, "traceback": traceback.format_exc()}
            _answer(connection, REFUSED + json.dumps(refusal).encode())
            return
        answer = READY
        while _answer(connection, answer):
            try:
                message = connection.recv_bytes()
            except (EOFError, ConnectionError):
                return
            try:
                answer = TAKEN + answered(message)
            except Exception:  # noqa: BLE001  (a plug-in's border: whatever it does, the next message is taken)
                answer = RAISED + _text(traceback.format_exc())


def python_command(prepare: str, main: str, *arguments: str) -> list[str]:
    """Return the command that runs `main()` of a module in a process with this one's places to look for modules.

    Args:
        prepare: statements that come before anything is imported, each ended by `; `.
        main: the module.
    """
    program = f"import sys; sys.path[:] = sys.argv.pop(1).split('\\n'); {prepare}from {main} import main; main()"
    return [sys.executable, "-c", program, "\n".join(os.fspath(place) for place in sys.path), *arguments]


def _answer(connection: Connection, answer: bytes) -> bool:
    """Send an answer, and say whether there is still somebody who takes it."""
    try:
        connection.send_bytes(answer)
    except ConnectionError:
        return False
    return True


def _text(text: str) -> bytes:
    """Return the end of a text, where a traceback says what happened."""
    return text.encode("utf-8", "replace")[-_LONGEST_TEXT:]
