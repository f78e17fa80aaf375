"""The hook's process: it imports the hook, takes results until its parent closes the line, and answers each.

It starts with nothing of the parent but the line, the shared pictures and the places where Python looks for modules.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from edgesdk_agent.delivery.child_loop import python_command, serve
from edgesdk_agent.delivery.frame_encoding import FrameDecoder
from edgesdk_agent.delivery.hook_name import HookName
from edgesdk_agent.delivery.picture_memory import SharedView


def main() -> None:
    """Run with the arguments: hook, folder to look in, file of the line, files of the pictures."""
    hook_name, folder, line, *pictures = sys.argv[1:]

    def begin() -> Callable[[bytes], bytes]:
        hook = HookName.parse(hook_name).load(Path(folder) if folder else None)
        views = [SharedView(int(fd)) for fd in pictures]
        decoder = FrameDecoder(lambda at: views[at[0]].picture(at[1], at[2]))

        def call(message: bytes) -> bytes:
            hook(decoder.decode(message))
            return b""

        return call

    serve(int(line), begin)


def command(hook: HookName, folder: Path | None, line: int, pictures: list[int]) -> list[str]:
    """Return the command that starts this process with the parent's places to look for modules."""
    fds = [str(fd) for fd in (line, *pictures)]
    return python_command("", __name__, str(hook), "" if folder is None else str(folder), *fds)
