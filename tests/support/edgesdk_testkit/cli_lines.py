"""Check written command lines against the real parsers, without running them."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

_ENDS = frozenset({"|", "||", "&&", ";", "&"})
_REDIRECTION = re.compile(r"\s[0-9&]?(?:>>?|<)(?:&[0-9]|\s*\S+)")
_ASSIGNMENT = re.compile(r"^[A-Za-z_]\w*=")
# `cat > FILE <<'EOF'` and what follows up to its end.
_HEREDOC = re.compile(r"(?P<head><<-?\s*['\"]?(?P<end>\w+)['\"]?[^\n]*\n).*?\n(?P=end)(?=\n|$)", re.DOTALL)
_BEFORE = frozenset({"sudo", "exec", "nohup", "time", "env"})


def faults_of_lines(text: str, root: Path) -> Iterator[str]:
    """Yield what is wrong with the `edgesdk`, `edgesdk-agent`, `scripts/…` and `python FILE` lines of a shell text."""
    for words in commands_in(text):
        fault = fault_of(words, root)
        if fault:
            yield f"{shlex.join(words)}: {fault}"


def commands_in(text: str) -> Iterator[list[str]]:
    """Yield the commands of a shell text as words, without assignments, `sudo` and redirections."""
    text = _HEREDOC.sub(lambda match: match["head"], text)
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        lexer = shlex.shlex(_REDIRECTION.sub(" ", line), posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word not in _ENDS:
                words.append(word)
                continue
            while words and (_ASSIGNMENT.match(words[0]) or words[0] in _BEFORE):
                words.pop(0)
            if words:
                yield words
            words = []


def fault_of(words: list[str], root: Path) -> str:
    """Say what is wrong with one command, or nothing."""
    name = Path(words[0]).name
    if words[0].startswith("scripts/"):
        return _script_fault(words, root)
    if name.startswith("python") and len(words) > 1:
        if words[1:3] == ["-m", "edgesdk"]:
            return _edgesdk_fault(words[3:])
        is_ours = words[1].endswith(".py") and words[1].startswith(("examples/", "scripts/"))
        return f"there is no {words[1]}" if is_ours and not (root / words[1]).is_file() else ""
    if name == "edgesdk":
        return _edgesdk_fault(words[1:])
    return _agent_fault(words[1:]) if name == "edgesdk-agent" else ""


def _script_fault(words: list[str], root: Path) -> str:
    script = root / words[0]
    if not script.is_file():
        return f"there is no {words[0]}"
    text = "".join(p.read_text("utf-8") for p in (script, script.with_suffix(".py")) if p.is_file())
    unknown = [word for word in words[1:] if word.startswith("--") and word.partition("=")[0] not in text]
    # What `scripts/test` is given goes to pytest.
    return f"no option {unknown[0]}" if unknown and "-m pytest" not in text else ""


def _edgesdk_fault(arguments: list[str]) -> str:
    """Let the real command line parse the arguments, down to the command, and stop before it is called."""
    from edgesdk.cli.app import app

    command: Any = typer.main.get_command(app)
    context: Any = None
    path, rest = ["edgesdk"], list(arguments)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            while True:
                context = command.make_context(path[-1], rest, parent=context)
                if not hasattr(command, "resolve_command"):
                    break
                rest = [*getattr(context, "_protected_args", ()), *context.args]
                if not rest and command.invoke_without_command:
                    break
                name, command, rest = command.resolve_command(context, rest)
                path.append(str(name))
    except typer.Exit:
        return ""  # --help, --version
    except Exception as error:
        return str(getattr(error, "message", "") or error) or "needs a command"
    return _agent_fault(["run", *context.args]) if path == ["edgesdk", "agent", "run"] else ""


def _agent_fault(arguments: list[str]) -> str:
    from edgesdk_agent.arguments import parser_for

    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()):
            parser_for("edgesdk-agent").parse_args(arguments)
    except SystemExit as end:
        return "" if end.code == 0 else told.getvalue().strip().splitlines()[-1]
    return ""
