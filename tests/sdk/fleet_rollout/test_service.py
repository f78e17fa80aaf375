"""Pages, API and shelf of roll-outs on a real service: who may what, and who fetches what."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("cryptography")

from edgesdk.cli.app import run
from edgesdk.fleet.rollout.shelf import Shelf
from edgesdk.fleet.service.rollouts.shelf_routes import address_for, shelf_router
from edgesdk.fleet.service.uploads.device_token import token_for
from edgesdk.fleet.store.engine import open_store, writing
from edgesdk.fleet.store.tables import nodes
from edgesdk.fleet.store.wanted import put_wanted
from edgesdk.signing.private_key import PrivateKey
from edgesdk.signing.sign import sign_bundle
from edgesdk_agent.update.fetch.places import Changed, ServerPlace
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.bundle.chunk_list import ChunkList
from edgesdk_targets.errors import FetchFailed, Unsigned
from edgesdk_testkit.fleet_seed import seed
from edgesdk_testkit.fleet_service import FleetService
from edgesdk_testkit.rollout_store import AGENT, OneBundle
from edgesdk_testkit.tiny_bundles import write_tiny_bundle
from edgesdk_testkit.update_life import make

NODE = "local.cam-0001"
LAB = ("local.cam-0010", "local.cam-0011")
KEY = PrivateKey.new("maker")


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = make(tmp_path_factory.mktemp("made"), 7).path
    with open_bundle(path) as bundle:
        sign_bundle(bundle, KEY, path, release=7)
    return path


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, signed: Path) -> Iterator[FleetService]:
    folder = tmp_path_factory.mktemp("fleet")
    shelf = Shelf(folder / "bundles")
    shelf.put(signed)
    engine = open_store(folder / "fleet.db")
    made = FleetService(
        folder, broker=BrokerAddress.parse("mqtt://127.0.0.1:9"), open_routers=[shelf_router(engine, shelf)]
    )
    made.parts.shelf, made.parts.bundle_server = shelf, "https://fleet.example"
    seed(made.engine, 12)
    with writing(made.engine) as connection:
        connection.execute(
            nodes.update().values(
                target=next(iter(shelf.bundles()[0].targets)), bundle_digest="sha256:" + "0" * 64, site="hall"
            )
        )
        # In no roll-out of another test: a device is in one at a time.
        connection.execute(nodes.update().where(nodes.c.name.in_(LAB)).values(site="lab"))
    for role in ("viewer", "operator", "admin"):
        made.add_user(role)
    with made:
        yield made
    engine.dispose()


@pytest.fixture
def digest(service: FleetService) -> str:
    assert service.parts.shelf is not None
    return service.parts.shelf.bundles()[0].digest


def test_a_device_fetches_by_its_own_address_in_parts_and_nobody_else_does(
    service: FleetService, signed: Path, digest: str
) -> None:
    shelf = service.parts.shelf
    assert shelf is not None
    with writing(service.engine) as connection:
        address = address_for(connection, service.url, NODE, shelf.bundles()[0])
        clips = token_for(connection, NODE)
    place, content = ServerPlace(address), signed.read_bytes()
    chunks = ChunkList.from_bytes(place.chunk_list())
    assert (chunks.bundle, chunks.release, chunks.size) == (digest, 7, len(content))
    assert place.read(10, 100) == content[10:110]
    assert place.read(len(content) - 5, 100) == content[-5:]
    token = address.split("/")[4]
    wrong = [address.replace(token, clips), address.replace(token, token[:-1] + ("0" if token[-1] != "0" else "1")),
             address.replace("cam-0001", "cam-0002"), address.replace(digest[-8:], "0" * 8)]  # fmt: skip
    for one in wrong:
        with pytest.raises(FetchFailed, match="404"):
            ServerPlace(one).chunk_list()
    # Another file in its place: not a byte of it is mixed with the first one's.
    shelf.bundles()[0].path.write_bytes(content)
    with pytest.raises(Changed):
        place.read(110, 100)


def test_roll_outs_are_begun_by_admins_stopped_by_operators_and_seen_by_all(service: FleetService, digest: str) -> None:
    with (
        service.logged_in("admin") as admin,
        service.logged_in("operator") as operator,
        service.logged_in("viewer") as viewer,
    ):
        shown = viewer.get("/api/v1/bundles").json()["bundles"][0]
        assert (shown["digest"], shown["release"], shown["signed_by"]) == (digest, 7, [KEY.public.id])
        assert operator.post("/api/v1/rollouts", json={"digest": digest}).status_code == 403
        missing = admin.post("/api/v1/rollouts", json={"digest": "sha256:" + "9" * 64})
        assert missing.status_code == 404
        asked = {"digest": digest, "approval": "on", "site": "hall"}
        assert operator.get("/rollouts/new", params=asked).status_code == 403
        assert "Begin with 10 devices" in admin.get("/rollouts/new", params=asked).text
        begun = admin.post("/rollouts", data={**asked, "expect": "10"}, follow_redirects=False)
        assert begun.status_code == 303, begun.text
        where = begun.headers["location"]
        again = admin.post("/api/v1/rollouts", json={"digest": digest})
        assert (again.status_code, "has not ended" in again.text) == (409, True)
        key = where.rpartition("/")[2]
        found = viewer.get(f"/api/v1/rollouts/{key}").json()
        assert (found["status"], found["policy"]["approval"], found["may"]) == (
            "running",
            True,
            ["pause", "abort", "rollback"],
        )
        page = viewer.get(where).text
        assert all(one["node"] in page for one in found["shown"])
        assert "Roll back" not in page
        assert "Roll back" in operator.get(where).text
        assert viewer.post(f"/api/v1/rollouts/{key}/rollback").status_code == 403
        assert operator.post(f"/api/v1/rollouts/{key}/approve").status_code == 403
        assert admin.post(f"/api/v1/rollouts/{key}/approve").status_code == 409
        assert operator.post(f"{where}/rollback", follow_redirects=False).status_code == 303
        assert viewer.get(f"/api/v1/rollouts/{key}").json()["asked"] == ["rollback"]
        actions = {one["action"]: one["actor"] for one in admin.get("/api/v1/audit").json()["entries"]}
        assert (actions["rollout.begin"], actions["rollout.rollback"]) == ("admin", "operator")
        assert key in viewer.get("/rollouts").text
        assert viewer.get("/rollouts/none-1").status_code == 404


def test_the_shelf_takes_what_is_signed_once_and_passes_over_what_is_no_bundle(tmp_path: Path, signed: Path) -> None:
    shelf = Shelf(tmp_path / "shelf")
    assert shelf.bundles() == []
    one = shelf.put(signed)
    assert shelf.put(signed).path == one.path
    (shelf.folder / "odd.edgebundle").write_bytes(b"PK no")
    assert [found.digest for found in shelf.bundles()] == [one.digest]
    with pytest.raises(Unsigned):
        shelf.put(make(tmp_path, 8).path)
    # Another content under the same name, version and release lies beside the first one.
    other = write_tiny_bundle(tmp_path / "other.edgebundle", version="1.0.7")
    with open_bundle(other) as bundle:
        sign_bundle(bundle, KEY, other, release=7)
    two = shelf.put(other)
    assert (two.name, two.version, two.release) == (one.name, one.version, one.release)
    assert two.digest != one.digest
    assert {found.digest for found in shelf.bundles()} == {one.digest, two.digest}


def test_the_page_asks_for_a_shadow_wave_and_shows_it_before_it_begins(service: FleetService, digest: str) -> None:
    with service.logged_in("admin") as admin:
        shown = admin.get("/rollouts").text
        assert 'name="shadow"' in shown
        asked = {"digest": digest, "site": "lab", "shadow": "90m", "shadow_devices": "2"}
        new = admin.get("/rollouts/new", params=asked).text
        assert "First 2 of them compare it with what runs, for 2 h at most" in new
        assert 'name="shadow" value="90m"' in new
        for wrong, says in (
            ({"shadow": "soon"}, "is no time"),
            ({"shadow_devices": "0"}, "devices"),
            ({"shadow": "99d"}, "lasts_s"),
        ):
            for refused in (
                admin.get("/rollouts/new", params=asked | wrong),
                admin.post("/rollouts", data={**asked, **wrong, "expect": "2"}),
            ):
                assert (refused.status_code, says in refused.text) == (400, True), refused.text
        begun = admin.post("/rollouts", data={**asked, "expect": "2"}, follow_redirects=False)
        assert begun.status_code == 303, begun.text
        found = admin.get(f"/api/v1{begun.headers['location']}").json()
        assert (found["policy"]["shadow"]["lasts_s"], found["policy"]["shadow"]["devices"]) == (5400, 2)
        assert found["wave"] == 0


def test_the_page_refuses_a_shadow_wave_of_an_agent_before_it_shows_one(
    service: FleetService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.parts, "shelf", OneBundle(tmp_path, AGENT))
    with service.logged_in("admin") as admin:
        asked = {"digest": AGENT.digest, "site": "", "shadow": "90m"}
        for refused in (
            admin.get("/rollouts/new", params=asked),
            admin.post("/rollouts", data={**asked, "expect": "12"}),
        ):
            assert (refused.status_code, "this is an agent" in refused.text) == (409, True), refused.text
        assert admin.get("/rollouts/new", params={**asked, "shadow": ""}).status_code == 200


def test_no_person_reads_the_token_in_a_devices_address(service: FleetService, digest: str) -> None:
    shelf = service.parts.shelf
    assert shelf is not None
    with writing(service.engine) as connection:
        address = address_for(connection, service.url, NODE, shelf.bundles()[0])
        put_wanted(connection, NODE, 3, {"update": {"address": address}, "set": {"a": 1}}, actor="test", at_ms=1)
    with service.logged_in("viewer") as viewer:
        told = viewer.get(f"/api/v1/devices/{NODE}")
    assert address.split("/")[4] not in told.text
    wanted = told.json()["desired"]
    assert (wanted["version"], wanted["state"]["set"]) == (3, {"a": 1})
    shown = wanted["state"]["update"]["address"]
    assert shown.startswith(f"{service.url.rstrip('/')}/shelf/…/{digest.removeprefix('sha256:')}/"), shown


def test_the_command_refuses_what_cannot_be_meant(
    tmp_path: Path, signed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    db = str(tmp_path / "fleet.db")
    engine = open_store(db)
    rules = tmp_path / "rules.yaml"
    for text, says in (("soak_s: soon\n", "soak_s"), ("- soak_s: 3\n", "must be fields"), ("soon\n", "must be fields")):
        rules.write_text(text)
        assert run(["fleet", "deploy", str(signed), "--db", db, "--policy", str(rules)]) == 2
        assert says in capsys.readouterr().err
    assert run(["fleet", "deploy", str(signed), "--db", db]) == 2
    assert "no device fits" in capsys.readouterr().err
    assert run(["fleet", "rollback", "none-1", "--db", db]) == 2
    assert run(["fleet", "rollouts", "--db", db, "--json"]) == 0
    assert '"rollouts": []' in capsys.readouterr().out
    engine.dispose()
