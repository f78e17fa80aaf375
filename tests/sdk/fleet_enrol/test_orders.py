"""What operators order, by line and by table; and the line that a person pastes."""

from __future__ import annotations

import json
import shlex
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgesdk.fleet.enrol.authority import Authority
from edgesdk.fleet.enrol.install_line import Service, install_line, pin_of
from edgesdk.fleet.enrol.install_script import script_text
from edgesdk.fleet.enrol.orders import order, orders_from_csv
from edgesdk.fleet.enrol.tokens import new_token, read_ttl, token_hash
from edgesdk.fleet.enrol.wheelhouses import Wheelhouses
from edgesdk_targets.errors import InputError


def table(folder: Path, text: str) -> Path:
    path = folder / "devices.csv"
    path.write_text(text, "utf-8")
    return path


def test_a_table_says_one_device_a_line(tmp_path: Path) -> None:
    text = "\ufeffName,tenant,site,tags,camera,bundle\ndoor-1,shop,Köln,door floor:1,rtsp://10.0.0.9/a,person\n\nyard,,,,0,\n"
    first, second = orders_from_csv(table(tmp_path, text))
    assert (first.node, first.site, first.tags) == ("shop.door-1", "Köln", ("door", "floor:1"))
    assert first.configuration == {"bundle": "person", "cameras": [{"name": "camera", "source": "rtsp://10.0.0.9/a"}]}
    assert second.node == "local.yard"
    assert orders_from_csv(table(tmp_path, "name;site\na;b\n"))[0].site == "b", "as spreadsheets write it"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no column"),
        ("site\nx\n", "no column"),
        ("name,colour\na,red\n", "colour"),
        ("name\n", "no device"),
        ("name,site\na,b,c\n", ":2"),
        ("name\nok\na b\n", ":3"),
        ("name,tags\na,{x}\n", "tag"),
        ("name\n../etc\n", ":2"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_by_its_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        orders_from_csv(table(tmp_path, text))


def test_tokens_are_long_and_different_and_kept_as_hashes() -> None:
    made = {new_token() for _ in range(1000)}
    assert len(made) == 1000
    assert all(len(token) == 32 for token in made)
    assert token_hash(" x\n") == token_hash("x"), "as it is pasted"


@pytest.mark.parametrize("wrong", ["", "5", "0h", "91d", "1w", "-1h", "1.5h", "99999d"])
def test_a_time_that_cannot_be_is_refused(wrong: str) -> None:
    with pytest.raises(InputError):
        read_ttl(wrong)
    assert read_ttl("7d") == timedelta(days=7)


def test_the_line_pins_what_it_fetches_and_is_one_command(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path / "a")
    pair = authority.server(["fleet.example.org"])
    service = Service("https://fleet.example.org:8443", pin_of(pair.certificate), authority.fingerprint)
    line = install_line(service, "enrol-abc", options=("--target", "rpi5"))
    assert "\n" not in line
    words = shlex.split(line)
    assert f"sha256//{service.pin}" in words
    assert "enrol-abc" not in line.partition("; curl")[2], "no program gets the token as an argument"
    assert words[words.index("--ca-sha256") + 1] == authority.fingerprint
    public = install_line(Service("https://fleet.example.org"), "enrol-abc")
    assert " -k " not in public
    assert "pinned" not in public


@pytest.mark.parametrize(
    "url", ["http://x", "https://", "https://x/y", "https://x;rm", "https://u:p@x", "https://x y", "https://$(id)"]
)
def test_an_address_that_could_be_more_than_one_is_refused(url: str) -> None:
    with pytest.raises(InputError):
        Service(url)


def test_the_script_is_one_function_called_at_its_end_and_refuses_odd_words(tmp_path: Path) -> None:
    text = script_text()
    assert text.rstrip().endswith('main "$@"')
    for cut in (len(text) // 3, len(text) // 2, len(text) - 10):
        done = subprocess.run(["sh", "-c", text[:cut]], capture_output=True, check=False, cwd=tmp_path)
        assert not done.stdout, "a script cut short does nothing"
    odd = ["sh", "-s", "--", "--server", "https://x", "--token", "t", "--home", "$(touch pwned)"]
    done = subprocess.run(odd, input=text.encode(), capture_output=True, check=False, cwd=tmp_path)
    assert b"character" in done.stderr
    assert not list(tmp_path.iterdir())


def test_an_installer_is_served_as_an_archive_that_tar_unpacks(tmp_path: Path) -> None:
    house = tmp_path / "houses/rpi5"
    house.mkdir(parents=True)
    (house / "wheelhouse.env").write_text("TARGET=rpi5\n")
    (house / "a.whl").write_bytes(b"x" * 700_000)
    shelves = Wheelhouses(tmp_path / "houses")
    found = shelves.find("rpi5")
    assert found == house
    assert shelves.find("any") == house
    assert [shelves.find(name) for name in ("..", "a/b", "", "jetson")] == [None] * 4
    assert Wheelhouses(tmp_path / "gone").find("any") is None, "a folder that is not there holds none"
    archive = b"".join(shelves.archive(house))
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(["tar", "-xf", "-", "-C", str(out)], input=archive, check=True)
    assert (out / "a.whl").read_bytes() == (house / "a.whl").read_bytes()


def test_three_hundred_devices_by_one_command(tmp_path: Path) -> None:
    from edgesdk.cli.fleet import app

    def run(*words: str) -> str:
        places = ["--db", str(tmp_path / "fleet.db"), "--authority", str(tmp_path / "authority")]
        done = CliRunner().invoke(app, [*words, *places])
        assert done.exit_code == 0, done.output or done.exception
        return done.stdout

    CliRunner().invoke(app, ["service-certificate", "fleet.example.org", "--authority", str(tmp_path / "authority")])
    lines = "\n".join(f"door-{i},rtsp://10.0.{i % 250}.9/a,person" for i in range(300))
    devices = table(tmp_path, f"name,camera,bundle\n{lines}\n")
    made = json.loads(run("enrol", "--csv", str(devices), "--server", "https://fleet.example.org:8443", "--json"))
    assert len({one["line"] for one in made["devices"]}) == 300
    out = tmp_path / "lines.txt"
    again = ["--csv", str(devices), "--server", "https://fleet.example.org:8443", "--out", str(out)]
    run("enrol", *again)
    assert out.stat().st_mode & 0o777 == 0o600
    listed = CliRunner().invoke(app, ["enrolments", "--db", str(tmp_path / "fleet.db"), "--json"])
    states = [one["state"] for one in json.loads(listed.stdout)["enrolments"]]
    assert (states.count("waiting"), states.count("revoked")) == (300, 300), "the newer line replaces the older"


def test_a_device_without_camera_or_bundle_is_refused_before_anybody_climbs_a_ladder(tmp_path: Path) -> None:
    from edgesdk.fleet.enrol.orders import make_enrolments
    from edgesdk.fleet.store.engine import open_store

    engine = open_store(tmp_path / "fleet.db")
    try:
        with pytest.raises(InputError, match="no bundle and no cameras"):
            make_enrolments(engine, [order("door")], actor="test", ttl_s=60)
        with pytest.raises(InputError, match="no template"):
            make_enrolments(engine, [order("door", template="gone")], actor="test", ttl_s=60)
    finally:
        engine.dispose()
