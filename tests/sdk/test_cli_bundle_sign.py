"""`edgesdk bundle sign|keys` and `verify --key`, as somebody with one machine uses them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cryptography")

from edgesdk.cli.app import run
from edgesdk.cli.bundle_sign import PASSPHRASE
from edgesdk.signing.key_folder import KeyFolder, usual_folder
from edgesdk.signing.private_key import PassphraseNeeded
from edgesdk_targets.bundle.chunk_list import ChunkList
from edgesdk_targets.errors import InputError
from edgesdk_targets.target import Runtime
from edgesdk_testkit.tiny_bundles import write_tiny_bundle


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGESDK_KEYS", str(tmp_path / "keys"))
    return tmp_path / "keys"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "cnn.edgebundle", variants=[("generic-onnx", Runtime.ONNXRUNTIME)])


def asked(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> Any:
    capsys.readouterr()
    assert run([*map(str, words), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def told(capsys: pytest.CaptureFixture[str], *words: object, code: int = 1) -> str:
    capsys.readouterr()
    assert run([*map(str, words)]) == code
    return capsys.readouterr().err


def test_from_a_new_key_to_a_bundle_that_others_can_check(
    keys: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(capsys, "bundle", "verify", bundle)["signature"] == {"checked": False, "by": [], "release": None}
    made = asked(capsys, "bundle", "keys", "new", "box")
    assert (keys.stat().st_mode & 0o777, (keys / "box.key").stat().st_mode & 0o777) == (0o700, 0o600)
    assert "is not signed" in told(capsys, "bundle", "verify", bundle, "--key", keys / "box.pub")
    signed = asked(capsys, "bundle", "sign", bundle, "--key", "box", "--release", "5", "-o", tmp_path / "s.edgebundle")
    assert (signed["keys"], signed["release"], signed["added"]) == ([made["id"]], 5, True)
    whole = asked(capsys, "bundle", "verify", tmp_path / "s.edgebundle", "--key", keys / "box.pub")
    assert whole["digest"] == signed["digest"]
    assert whole["signature"] == {"checked": True, "by": [{"name": "box", "id": made["id"]}], "release": 5}
    # The other file was left as it was.
    assert asked(capsys, "bundle", "verify", bundle)["signature"]["by"] == []


def test_trust_revoke_and_what_a_device_then_says(
    keys: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trusted = tmp_path / "trusted.keys"
    for name in ("box", "safe"):
        asked(capsys, "bundle", "keys", "new", name)
        asked(capsys, "bundle", "keys", "trust", trusted, name)
    asked(capsys, "bundle", "sign", bundle, "--key", "box")
    assert asked(capsys, "bundle", "verify", bundle, "--key", trusted)["signature"]["by"][0]["name"] == "box"
    assert "is not trusted here" in told(capsys, "bundle", "verify", bundle, "--key", keys / "safe.pub")
    after = asked(capsys, "bundle", "keys", "revoke", trusted, "box", "--why", "laptop stolen")
    assert [row["revoked"] for row in after["keys"]] == [True, False]
    assert "revoked: box" in (said := told(capsys, "bundle", "verify", bundle, "--key", trusted))
    assert "laptop stolen" in said
    assert "is revoked in" in told(capsys, "bundle", "keys", "trust", trusted, "box", code=2)
    # Signed with the key that is left as well, the same bundle is good again.
    asked(capsys, "bundle", "sign", bundle, "--key", "safe")
    assert asked(capsys, "bundle", "verify", bundle, "--key", trusted)["signature"]["by"][0]["name"] == "safe"


def test_list_and_show(keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = asked(capsys, "bundle", "keys", "new", "box")
    (keys / "box.key").unlink()
    asked(capsys, "bundle", "keys", "new", "safe")
    rows = asked(capsys, "bundle", "keys", "list")["keys"]
    assert [(row["name"], row["private"]) for row in rows] == [("box", False), ("safe", True)]
    assert run(["bundle", "keys", "show", "box"]) == 0
    assert capsys.readouterr().out.strip() == made["line"]


def test_a_key_is_never_replaced_and_a_missing_one_is_told(
    keys: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked(capsys, "bundle", "keys", "new", "box")
    before = (keys / "box.key").read_bytes()
    assert "There is a key box" in told(capsys, "bundle", "keys", "new", "box", code=2)
    assert (keys / "box.key").read_bytes() == before
    assert "there are: box" in told(capsys, "bundle", "sign", bundle, "--key", "bx", code=2)
    assert "no name of a key" in told(capsys, "bundle", "keys", "new", "../x", code=2)


def test_a_private_key_that_others_may_read_signs_nothing(keys: Path) -> None:
    folder = KeyFolder(keys)
    folder.make("box")
    (keys / "box.key").chmod(0o640)
    with pytest.raises(InputError, match="can be read by others"):
        folder.private("box")
    (keys / "box.key").chmod(0o600)
    assert folder.private("box").public.name == "box"


def test_a_passphrase(
    keys: Path, bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSPHRASE, "open sesame")
    asked(capsys, "bundle", "keys", "new", "box", "--passphrase")
    assert b"ENCRYPTED" in (keys / "box.key").read_bytes()
    assert asked(capsys, "bundle", "sign", bundle, "--key", "box")["added"]
    monkeypatch.setenv(PASSPHRASE, "open barley")
    assert "not the passphrase" in told(capsys, "bundle", "sign", bundle, "--key", "box", code=2)
    with pytest.raises(PassphraseNeeded):
        KeyFolder(keys).private("box")


def test_a_damaged_key_is_told_without_its_content(keys: Path) -> None:
    folder = KeyFolder(keys)
    folder.make("box")
    (keys / "box.key").write_bytes(b"-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n")
    with pytest.raises(InputError, match="damaged") as caught:
        folder.private("box")
    assert "secret" not in str(caught.value)


def test_the_usual_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert usual_folder() == tmp_path / "edgesdk/keys"
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    assert usual_folder() == Path.home() / ".config/edgesdk/keys"


def test_the_list_of_chunks_is_of_this_file(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = asked(capsys, "bundle", "chunks", bundle)
    chunks = ChunkList.from_bytes((tmp_path / "cnn.edgebundle.chunks").read_bytes())
    assert (chunks.bundle, chunks.size) == (made["digest"], bundle.stat().st_size)
    assert chunks.is_good(0, bundle.read_bytes())
    assert "is a folder" in told(capsys, "bundle", "chunks", tmp_path, code=2)
