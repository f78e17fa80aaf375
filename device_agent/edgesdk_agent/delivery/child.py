"""The hook's process: it imports the hook, takes results until its parent closes the line, and answers each.

It starts with nothing of the parent but the line, the shared pictures and the places where Python looks for modules.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from pathlib import Path

from edgesdk_agent.delivery.frame_encoding import FrameDecoder
from edgesdk_agent.delivery.hook_name import HookName
from edgesdk_agent.delivery.picture_memory import SharedView
from edgesdk_targets.child_watch import behave_as_child
from edgesdk_targets.errors import EdgeError

# First byte of an answer; what follows is text, of a refusal a JSON object.
READY, REFUSED, TAKEN, RAISED = b"+", b"-", b"t", b"r"
_LONGEST_TEXT = 8192


def main() -> None:
    """Run with the arguments: hook, folder to look in, file of the line, files of the pictures."""
    hook_name, folder, line, *pictures = sys.argv[1:]
    # The parent says when to end. A service manager tells every process of the service, and results still come.
    # A handler that does nothing, and not SIG_IGN, which a program that the hook starts would inherit.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    behave_as_child()
    with Connection(int(line)) as connection:
        try:
            hook = HookName.parse(hook_name).load(Path(folder) if folder else None)
        except EdgeError as error:
            refusal = {"message": error.message, "hint": error.hint, "traceback": traceback.format_exc()}
            _answer(connection, REFUSED + json.dumps(refusal).encode())
            return
        views = [SharedView(int(fd)) for fd in pictures]
        decoder = FrameDecoder(lambda at: views[at[0]].picture(at[1], at[2]))
        answer = READY
        while _answer(connection, answer):
            try:
                message = connection.recv_bytes()
            except (EOFError, ConnectionError):
                return
            answer = TAKEN
            try:
                hook(decoder.decode(message))
            except Exception:  # noqa: BLE001  (a plug-in's border: whatever a hook does, the next result is taken)
                answer = RAISED + _text(traceback.format_exc())


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


def command(hook: HookName, folder: Path | None, line: int, pictures: list[int]) -> list[str]:
    """Return the command that starts this process with the parent's places to look for modules."""
    program = (
        "import sys; sys.path[:] = sys.argv.pop(1).split('\\n'); from edgesdk_agent.delivery.child import main; main()"
    )
    places = "\n".join(os.fspath(place) for place in sys.path)
    fds = [str(fd) for fd in (line, *pictures)]
    return [sys.executable, "-c", program, places, str(hook), "" if folder is None else str(folder), *fds]
