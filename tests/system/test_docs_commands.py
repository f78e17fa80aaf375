"""The commands in the pages: run for real, or, where that cannot be, checked against the real command line."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import edgesdk
from edgesdk_agent.service.unit import Service, unit_text
from edgesdk_testkit.cli_lines import commands_in, fault_of, faults_of_lines
from edgesdk_testkit.doc_shell import DocShell
from edgesdk_testkit.markdown_blocks import Block, blocks_of, faults_of_form, spans_of

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md")), ROOT / "examples" / "README.md"]
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
RUN_NAMES = [
    name for name in NAMES if name != "README.md" and any(b.runs for b in blocks_of(name, (ROOT / name).read_text()))
]
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def page_text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def run_page(shell: DocShell, name: str) -> None:
    for block in blocks_of(name, page_text(name)):
        if block.runs:
            _run(shell, block)


def _run(shell: DocShell, block: Block) -> str:
    done = shell.run(block)
    logs = "".join(f"--- {p.name}\n{p.read_text()}" for p in sorted(shell.folder.glob(".job-*.log")))
    assert done.returncode == 0, f"{block.where} ended with {done.returncode}\n{block.text}\n{done.stdout}{logs}"
    assert "Traceback" not in done.stdout + logs, f"{block.where}\n{done.stdout}{logs}"
    return done.stdout


@pytest.fixture(scope="module")
def after_the_readme(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader has after the README's commands: the other pages begin there."""
    shell = DocShell(tmp_path_factory.mktemp("readme"), ROOT)
    run_page(shell, "README.md")
    return shell.folder / "out"


@pytest.mark.parametrize("name", NAMES)
def test_every_block_is_run_or_says_why_not(name: str) -> None:
    assert list(faults_of_form(name, page_text(name))) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_command_is_one_that_exists(name: str) -> None:
    for block in blocks_of(name, page_text(name)):
        if block.language in {"bash", "sh"}:
            assert list(faults_of_lines(block.text, ROOT)) == [], block.where


@pytest.mark.parametrize("name", NAMES)
def test_commands_inside_sentences_exist(name: str) -> None:
    for span in spans_of(page_text(name)):
        if span.startswith(("edgesdk ", "edgesdk-agent ")) and not re.search(r"[|…<>\[\]]", span):
            for words in commands_in(span):
                fault = fault_of(words, ROOT)
                # In a sentence, a command may stand for itself, without what it needs.
                assert not fault or re.search(r"(?i)missing|required|needs a command", fault), (
                    f"{name}: {span}: {fault}"
                )


@pytest.mark.parametrize("name", NAMES)
def test_python_is_python_and_uses_names_that_exist(name: str) -> None:
    for block in blocks_of(name, page_text(name)):
        if block.language == "python":
            for node in ast.walk(ast.parse(block.text, block.where)):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "edgesdk":
                    assert node.attr in edgesdk.__all__, f"{block.where}: edgesdk.{node.attr}"


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    for target in _LINK.findall(page_text(name)):
        if "://" not in target:
            assert ((ROOT / name).parent / target).exists(), f"{name}: {target}"


def test_the_readme_leads_to_every_page() -> None:
    linked = {(ROOT / target).resolve() for target in _LINK.findall(page_text("README.md"))}
    for page in PAGES[1:]:
        assert page in linked or page.parent in linked, page


def test_the_services_command_exists() -> None:
    program, python = Path("/opt/edgesdk/bin/edgesdk-agent"), Path("/usr/bin/python3")
    service = Service(program, Path("/etc/edgesdk/edgesdk.yaml"), Path("/etc/edgesdk/m"), python)
    commands = re.findall(r"^ExecStart=(.+)$", unit_text(service), re.MULTILINE)
    assert len(commands) == 1
    assert list(faults_of_lines(commands[0], ROOT)) == []


@pytest.mark.system
@pytest.mark.timeout(900)
def test_the_readmes_commands_run(after_the_readme: Path) -> None:
    assert list(after_the_readme.glob("*.edgebundle"))


@pytest.mark.system
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", RUN_NAMES)
def test_the_pages_commands_run(name: str, after_the_readme: Path, tmp_path: Path) -> None:
    shell = DocShell(tmp_path, ROOT)
    shutil.copytree(after_the_readme, tmp_path / "out")
    run_page(shell, name)


class TestNegativeControls:
    """Each check finds what it is there for."""

    @pytest.mark.parametrize(
        ("block", "says"),
        [
            ("```sh\nedgesdk targets\n```", "needs `<!-- not run"),
            ("<!-- not run: x -->\n```bash\nedgesdk targets\n```", "what is not run is ```sh"),
            ("```console\n$ edgesdk targets\n```", "neither run nor shown"),
            ("```\nedgesdk targets\n```", "not checked"),
            ("```text\nEDGESDK_X=1 edgesdk targets\n```", "not checked"),
            ("See:\n\n    edgesdk targets\n", "indented command"),
            ("<!-- not run: x -->\n\ntext between\n```sh\nedgesdk targets\n```", "needs `<!-- not run"),
        ],
    )
    def test_form(self, block: str, says: str) -> None:
        assert any(says in fault for fault in faults_of_form("p.md", block))

    @pytest.mark.parametrize(
        "block",
        [
            "```bash\nedgesdk targets\n```",
            "<!-- not run: needs a board -->\n```sh\nedgesdk targets\n```",
            "```text\nedgesdk 0.1.0\n```",
            "```yaml\na: 1\n```",
        ],
    )
    def test_good_form(self, block: str) -> None:
        if "0.1.0" not in block:
            assert list(faults_of_form("p.md", block)) == []

    @pytest.mark.parametrize(
        "line",
        [
            "edgesdk convert card.yaml --targett rpi5",
            "edgesdk convert card.yaml -o out",
            "edgesdk frobnicate",
            "edgesdk bundle inspekt b.edgebundle",
            "edgesdk bundle inspect a b",
            "edgesdk fleet broker --port x",
            "sudo EDGESDK_X=1 edgesdk fleet watch --brokker mqtt://x",
            "edgesdk agent run --confi\\\n  --wrong x",
            "edgesdk-agent run --no-such-thing",
            "edgesdk-agent start",
            "cd x && edgesdk run b.edgebundle --sauce 0 | head",
            "scripts/demo --sekonds 3",
            "scripts/no-such-script",
            "python examples/no_such_example.py",
            "python -m edgesdk targts",
        ],
    )
    def test_a_wrong_line_is_caught(self, line: str) -> None:
        assert len(list(faults_of_lines(line, ROOT))) == 1

    @pytest.mark.parametrize(
        "line",
        [
            "edgesdk convert card.yaml --target rpi5 -t x86-cpu \\\n  -o out/   # a comment",
            'edgesdk run b.edgebundle --source "conveyor:?frames=60" --json | head -1',
            "sudo EDGESDK_X=1 .venv/bin/edgesdk fleet broker --port 0 &",
            "edgesdk agent run --bundle b --source 0 --no-mqtt",
            "edgesdk-agent run --config edgesdk.yaml --json > summary.json",
            "edgesdk --help; edgesdk --version && edgesdk bundle --help",
            "scripts/demo --seconds 3 --json",
            "scripts/test tests/targets -k bundle",
            "mosquitto_sub -V 5 -t 'edgesdk/1/+/up/result'",
        ],
    )
    def test_a_right_line_is_not(self, line: str) -> None:
        assert list(faults_of_lines(line, ROOT)) == []

    @pytest.mark.system
    def test_a_block_that_fails_is_caught(self, tmp_path: Path) -> None:
        shell = DocShell(tmp_path, ROOT)
        for text in (
            "edgesdk bundle inspect absent.edgebundle\ntrue\n",
            "false | true\n",
            "sh -c 'echo up; exec sleep 60' &\ntrue\n",
            "sh -c 'echo up; exit 3' &\ntrue\n",
        ):
            with pytest.raises(AssertionError, match=r"^p\.md:1 ended with"):
                _run(shell, Block("p.md", 1, "bash", text))
        with pytest.raises(AssertionError, match=r"^p\.md:1 ended with"):
            _run(shell, Block("p.md", 1, "python", "raise SystemExit(3)\n"))

    @pytest.mark.system
    def test_a_command_in_the_background_is_stopped_and_may_end_well(self, tmp_path: Path) -> None:
        shell = DocShell(tmp_path, ROOT)
        text = "edgesdk fleet broker --port 1883 &\nedgesdk fleet watch --once --broker mqtt://127.0.0.1:1883\n"
        _run(shell, Block("p.md", 1, "bash", text))
        left = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True, check=False)
        assert left.stdout == ""
