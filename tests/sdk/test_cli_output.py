"""How commands print: results on stdout, notes on stderr, a document alone where JSON is asked for."""

from __future__ import annotations

import io
import json
import re

import pytest

from edgesdk.cli.output import console, next_command, note, print_json, progress_line, size_text, table


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (345_200, "345.2 kB"),
        (1_500_000, "1.5 MB"),
        (2_340_000_000, "2.34 GB"),
    ],
)
def test_sizes_are_written_for_people(size: int, text: str) -> None:
    assert size_text(size) == text


def test_json_is_one_document_and_keeps_every_letter(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"label": "Köln", "n": [1, None]})
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"label": "Köln", "n": [1, None]}
    assert "Köln" in captured.out
    assert captured.err == ""


def test_a_number_that_json_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        print_json({"value": float("nan")})


def test_notes_and_the_next_command_go_to_stderr_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    note("see [red]docs[/red] of edgesdk[agent]")
    next_command("edgesdk run " + "very-long-name/" * 20 + "b.edgebundle --source 0")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "[red]docs[/red] of edgesdk[agent]" in captured.err
    assert captured.err.splitlines()[-1].startswith("Next: edgesdk run ")
    assert captured.err.splitlines()[-1].endswith("--source 0"), "a command to copy stays on one line"


def test_progress_is_plain_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_line("convert") as say:
        say("step one")
        say("step two")
    captured = capsys.readouterr()
    assert captured.err.splitlines() == ["convert: step one", "convert: step two"]
    assert captured.out == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("terminal", [True, False])
def test_a_table_fits_a_terminal_and_a_file_gets_its_lines_whole(
    terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    rows = table("name", "what")
    rows.add_row("a", "word " * 30)
    console().print(rows)
    text = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert text.count("word") == 30
    assert (max(map(len, text.splitlines())) <= 60) == terminal
