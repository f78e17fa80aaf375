"""The unit and its installation into a root folder of the test, judged by systemd's own tools where they are."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edgesdk_agent.main import run
from edgesdk_agent.service.carry_out import carry_out, in_words
from edgesdk_agent.service.plan import SYSUSERS_PATH, UNIT_PATH, Command, Remove, install_plan, uninstall_plan
from edgesdk_agent.service.unit import UNIT_NAME, Launch, Service, unit_text
from edgesdk_agent.update import launcher
from edgesdk_targets.errors import DeviceError, InputError

SERVICE = Service(
    Path("/opt/edgesdk/bin/edgesdk-agent"), Path("/etc/edgesdk/edgesdk.yaml"), Path("/var/lib/m.edgebundle"),
    Path("/usr/bin/python3"),
)  # fmt: skip
ROOT = Path("/")
analyze = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(analyze is None, reason="systemd-analyze is not installed (Debian systemd)")


def analyzed(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(analyze), *words], capture_output=True, text=True, check=False, timeout=60)


def unit_file(folder: Path, service: Service = SERVICE) -> Path:
    # The verifier looks for the program that is started.
    unit = folder / UNIT_NAME
    unit.write_text(unit_text(replace(service, executable=Path(sys.executable))))
    return unit


@needs_systemd
@pytest.mark.parametrize("memory_max", ["", "1G"])
def test_systemd_takes_the_unit_without_a_word(tmp_path: Path, memory_max: str) -> None:
    done = analyzed(
        "verify", "--man=no", "--recursive-errors=no", str(unit_file(tmp_path, replace(SERVICE, memory_max=memory_max)))
    )
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_negative_control_systemd_names_a_wrong_setting(tmp_path: Path) -> None:
    unit = unit_file(tmp_path)
    unit.write_text(unit.read_text().replace("NoNewPrivileges=yes", "NoNewPrivilegez=yes"))
    assert "NoNewPrivilegez" in analyzed("verify", "--man=no", str(unit)).stderr


@needs_systemd
def test_systemd_calls_its_exposure_low(tmp_path: Path) -> None:
    done = analyzed("security", "--offline=true", "--threshold=25", "--no-pager", str(unit_file(tmp_path)))
    if "Unknown option" in done.stderr or "unrecognized option" in done.stderr:
        pytest.skip("this systemd judges running units only")
    assert done.returncode == 0, done.stdout[-3000:]


def test_a_watchdog_a_restart_and_its_own_user_are_in_it() -> None:
    text = unit_text(SERVICE)
    for line in (
        "Type=notify",
        "WatchdogSec=120",
        "Restart=always",
        "OOMPolicy=continue",
        "User=edgesdk",
        "StateDirectory=edgesdk",
        "CacheDirectory=edgesdk",
        "ExecReload=/bin/kill -HUP $MAINPID",
    ):
        assert f"\n{line}\n" in text
    assert "ExecStart=/opt/edgesdk/bin/edgesdk-agent run --config /etc/edgesdk/edgesdk.yaml" in text
    assert "ProtectHome=yes" in text
    assert "ProtectHome=read-only" in unit_text(replace(SERVICE, config=Path("/home/pi/edgesdk.yaml")))
    assert "ProtectHome=read-only" in unit_text(
        replace(SERVICE, python=Path("/home/pi/.local/share/uv/python/bin/python3"))
    )
    odd = unit_text(replace(SERVICE, config=Path('/etc/my %i "files"/$HOME.yaml')))
    assert '--config "/etc/my %%i \\"files\\"/$$HOME.yaml"' in odd


LAUNCHED = replace(SERVICE, launch=Launch(Path("/usr/bin/python3"), Path("/var/lib/edgesdk/update")))


@needs_systemd
def test_systemd_takes_the_unit_of_the_launcher_without_a_word(tmp_path: Path) -> None:
    service = replace(LAUNCHED, launch=Launch(Path(sys.executable), Path("/var/lib/edgesdk/update")))
    done = analyzed("verify", "--man=no", "--recursive-errors=no", str(unit_file(tmp_path, service)))
    assert (done.returncode, done.stderr) == (0, "")


def test_with_updates_the_launcher_is_put_there_and_starts_the_agent(tmp_path: Path) -> None:
    text = unit_text(LAUNCHED)
    # Asked to stop, the agent hears it from the launcher alone: the same signal twice would be impatience.
    assert "\nNotifyAccess=all\nKillMode=mixed\n" in text
    assert "\nExecStartPre=-/opt/edgesdk/bin/edgesdk-agent update begin --config /etc/edgesdk/edgesdk.yaml\n" in text
    start = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    assert start == (
        "ExecStart=/usr/bin/python3 /usr/local/lib/edgesdk/launcher.py /var/lib/edgesdk/update -- "
        "/opt/edgesdk/bin/edgesdk-agent run --config /etc/edgesdk/edgesdk.yaml "
        "--bundle {slot}/model.edgebundle --log-format json"
    )
    files = [action for action in install_plan(LAUNCHED, tmp_path, []) if not isinstance(action, Command)]
    carry_out(files, tmp_path)
    assert (tmp_path / "usr/local/lib/edgesdk/launcher.py").read_bytes() == Path(launcher.__file__).read_bytes()
    removed = [action for action in uninstall_plan(tmp_path, "edgesdk", purge=False) if isinstance(action, Remove)]
    carry_out(removed, tmp_path)
    assert not (tmp_path / "usr/local/lib/edgesdk/launcher.py").exists()


def test_installing_into_a_root_folder_writes_there_and_starts_nothing(tmp_path: Path) -> None:
    plan = install_plan(SERVICE, tmp_path, ["video", "render", "staff"])
    commands = [action.words for action in plan if isinstance(action, Command)]
    assert commands == [
        ("systemd-sysusers", f"--root={tmp_path}", "edgesdk.conf"),
        ("systemctl", f"--root={tmp_path}", "enable", UNIT_NAME),
    ]
    files = [action for action in plan if not isinstance(action, Command)]
    carry_out(files, tmp_path)
    assert (tmp_path / UNIT_PATH.relative_to("/")).read_text() == unit_text(SERVICE)
    declared = (tmp_path / SYSUSERS_PATH.relative_to("/")).read_text()
    assert "m edgesdk video\n" in declared
    assert "staff" not in declared
    state = tmp_path / "var/lib/edgesdk"
    state.mkdir(parents=True)
    removal = [one for one in uninstall_plan(tmp_path, "edgesdk", purge=True) if not isinstance(one, Command)]
    carry_out(removal, tmp_path)
    carry_out(removal, tmp_path)
    assert not list(tmp_path.rglob("*edgesdk*"))


@pytest.mark.skipif(not (shutil.which("systemctl") and shutil.which("systemd-sysusers")), reason="no systemd")
def test_systemds_own_tools_carry_it_out_in_a_root_folder(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    done = carry_out(install_plan(SERVICE, tmp_path, []), tmp_path)
    assert len(done) == 4
    assert "edgesdk" in (tmp_path / "etc/passwd").read_text()
    wanted = tmp_path / "etc/systemd/system/multi-user.target.wants" / UNIT_NAME
    assert wanted.is_symlink()
    carry_out(uninstall_plan(tmp_path, "edgesdk", purge=False), tmp_path)
    assert not wanted.is_symlink()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "etc").touch()
    with pytest.raises(DeviceError, match="cannot be written"):
        carry_out([one for one in install_plan(SERVICE, tmp_path, []) if not isinstance(one, Command)], tmp_path)


def test_the_devices_own_is_reloaded_and_started_and_can_be_shown_first() -> None:
    text = in_words(install_plan(SERVICE, ROOT, ["video"]), ROOT)
    assert "# writes /etc/systemd/system/edgesdk-agent.service" in text
    assert text.splitlines()[-3:] == [
        "systemctl daemon-reload",
        f"systemctl enable {UNIT_NAME}",
        f"systemctl restart --no-block {UNIT_NAME}",
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"user": "root"},
        {"user": "a b"},
        {"memory_max": "1G\nExecStart=/bin/sh"},
        {"config": Path("/a\nUser=root")},
        {"config": Path("rel")},
    ],
)
def test_nothing_of_a_users_can_become_a_setting(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        install_plan(replace(SERVICE, **wrong), ROOT, [])  # type: ignore[arg-type]


def test_a_program_that_fails_or_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="no edgesdk-none"):
        carry_out([Command(("edgesdk-none",))], tmp_path)
    with pytest.raises(DeviceError, match="`false` failed"):
        carry_out([Command(("false",))], tmp_path)
    assert carry_out([Command(("false",), may_fail=True)], tmp_path) == ["ran false"]


def test_the_command_line_checks_the_configuration_and_shows_the_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "edgesdk.yaml"
    config.write_text(
        "bundle: m.edgebundle\ncameras: [{name: a, source: 'synthetic:'}]\nmqtt: {url: 'mqtt://localhost'}\n"
    )
    assert run(["install", "--config", str(config), "--dry-run"]) == 2
    assert "m.edgebundle does not exist" in capsys.readouterr().err
    (tmp_path / "m.edgebundle").write_bytes(b"")
    program = tmp_path / "edgesdk-agent"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin")
    assert run(["install", "--config", str(config), "--dry-run", "--json"]) == 0
    assert f"--config {config}" in json.loads(capsys.readouterr().out)["plan"]
    assert run(["uninstall", "--dry-run"]) == 0
    assert "# removes /etc/systemd/system" in capsys.readouterr().out
