"""The process of a hook or a stage: it imports the user's function, and answers each message until its parent closes the line.

It starts with nothing of the parent but the line, the shared pictures and the places where Python looks for modules.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from edgesdk_agent.delivery.child_loop import python_command, serve
from edgesdk_agent.delivery.frame_encoding import FrameDecoder
from edgesdk_agent.delivery.hook_name import HookName
from edgesdk_agent.delivery.picture_memory import SharedView

# What the function is given, and what is taken from it: a result and nothing; a frame and a picture; a result and a result.
Form = Literal["hook", "on_frame", "on_result"]


def main() -> None:
    """Run with the arguments: form, function, folder to look in, file of the line, files of the pictures."""
    form, name, folder, line, *pictures = sys.argv[1:]

    def begin() -> Callable[[bytes], bytes]:
        function = HookName.parse(name).load(Path(folder) if folder else None)
        views = [SharedView(int(fd), writable=form != "hook") for fd in pictures]
        decoder = FrameDecoder(lambda at: views[at[0]].picture(at[1], at[2]))
        if form == "hook":
            return lambda message: _told(function, decoder, message)
        # A hook's process does not pay for what it has no use for.
        from edgesdk_agent.delivery.stage_answers import STAGES

        return STAGES[form](function, decoder, views)

    serve(int(line), begin)


def command(hook: HookName, form: Form, folder: Path | None, line: int, pictures: list[int]) -> list[str]:
    """Return the command that starts this process with the parent's places to look for modules."""
    fds = [str(fd) for fd in (line, *pictures)]
    return python_command("", __name__, form, str(hook), "" if folder is None else str(folder), *fds)


def _told(hook: Callable[..., Any], decoder: FrameDecoder, message: bytes) -> bytes:
    hook(decoder.decode(message))
    return b""
