"""A bundle's signature: what holds, and every way in which one does not, each by its own error."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("cryptography")

from edgesdk.signing.private_key import PrivateKey
from edgesdk.signing.sign import sign_bundle
from edgesdk_targets.bundle.archive import pack
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.bundle.package import MANIFEST, SIGNATURE
from edgesdk_targets.errors import (
    BadHash,
    BadSignature,
    EdgeError,
    InputError,
    RevokedKey,
    TooLarge,
    UnknownKey,
    Unsigned,
)
from edgesdk_targets.signing.check import check_signature
from edgesdk_targets.signing.public_key import PublicKey
from edgesdk_targets.signing.signature_file import Signature, SignatureFile, signed_bytes
from edgesdk_targets.signing.trusted_keys import TrustedKeys, parse_trusted_keys, read_trusted_keys
from edgesdk_targets.target import Runtime
from edgesdk_testkit.tiny_bundles import write_tiny_bundle

ONNX_ONLY = (("generic-onnx", Runtime.ONNXRUNTIME),)
BOX, SAFE, STRANGER = PrivateKey.new("box"), PrivateKey.new("safe"), PrivateKey.new("stranger")
TRUSTED = TrustedKeys.of(BOX.public, SAFE.public)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "cnn.edgebundle", variants=ONNX_ONLY)


def sign(path: Path, *keys: PrivateKey, release: int = 7) -> Path:
    for key in keys:
        with open_bundle(path) as bundle:
            sign_bundle(bundle, key, path, release=release)
    return path


def parts(path: Path) -> dict[str, bytes]:
    """Return all files of a bundle, as somebody who repacks it has them."""
    with open_bundle(path) as bundle:
        return {name: bundle._archive.read(name) for name in bundle._archive.sizes}


def refused(path: Path, trusted: TrustedKeys = TRUSTED) -> EdgeError:
    with pytest.raises(EdgeError) as caught, open_bundle(path) as bundle:
        check_signature(bundle, trusted)
    assert caught.value.hint
    return caught.value


class TestAGoodSignature:
    def test_says_who_and_what(self, path: Path) -> None:
        with open_bundle(path) as unsigned:
            before = unsigned.digest
        with open_bundle(sign(path, BOX)) as bundle:
            signed = check_signature(bundle, TRUSTED)
            assert bundle.digest == before
        assert signed.by == (BOX.public,)
        assert (signed.statement.bundle, signed.statement.release, signed.statement.name) == (before, 7, "cnn")

    def test_holds_in_the_folder_that_it_was_unpacked_to_and_can_be_made_there(
        self, path: Path, tmp_path: Path
    ) -> None:
        with open_bundle(sign(path, BOX)) as bundle:
            bundle.unpack(tmp_path / "folder")
        with open_bundle(sign(tmp_path / "folder", SAFE)) as bundle:
            assert {key.name for key in check_signature(bundle, TRUSTED).by} == {"box", "safe"}

    def test_of_one_of_several_keys_is_enough_so_that_keys_can_be_changed(self, path: Path) -> None:
        sign(path, STRANGER, SAFE)
        with open_bundle(path) as bundle:
            assert check_signature(bundle, TRUSTED).by == (SAFE.public,)
            assert check_signature(bundle, TRUSTED.without(BOX.public.id, "")).by == (SAFE.public,)

    def test_made_twice_is_made_once(self, path: Path) -> None:
        first = sign(path, BOX).read_bytes()
        with open_bundle(path) as bundle:
            assert not sign_bundle(bundle, BOX, path).added
            sign_bundle(bundle, BOX, path.with_name("other"))
        assert path.read_bytes() == path.with_name("other").read_bytes() == first

    def test_gets_its_release_from_a_clock_that_is_set(self, path: Path) -> None:
        with open_bundle(path) as bundle:
            with pytest.raises(InputError, match="clock"):
                sign_bundle(bundle, BOX, path, clock=lambda: 0.0)
            assert sign_bundle(bundle, BOX, path, clock=lambda: 1.8e9).statement.release == 1_800_000_000

    def test_is_not_put_under_another_release_by_accident(self, path: Path) -> None:
        with open_bundle(sign(path, BOX, release=7)) as bundle:
            with pytest.raises(InputError, match="release 7, not 8"):
                sign_bundle(bundle, SAFE, path, release=8)
            assert sign_bundle(bundle, SAFE, path, release=8, again=True).keys == (SAFE.public.id,)


def _unsigned(path: Path) -> None:
    """Nothing is done to it."""


def _by_a_stranger(path: Path) -> None:
    sign(path, STRANGER)


def _revoked(path: Path) -> None:
    sign(path, SAFE)


def _changed(path: Path, change: Callable[[SignatureFile], SignatureFile]) -> None:
    files = parts(sign(path, BOX))
    files[SIGNATURE] = change(SignatureFile.from_bytes(files[SIGNATURE])).to_bytes()
    path.write_bytes(pack(files))


def _signature_altered(path: Path) -> None:
    def flip(file: SignatureFile) -> SignatureFile:
        raw = bytearray(file.signatures[0].raw())
        raw[5] ^= 1
        value = base64.b64encode(bytes(raw)).decode()
        return file.model_copy(update={"signatures": (Signature(key=BOX.public.id, value=value),)})

    _changed(path, flip)


def _statement_altered(path: Path) -> None:
    """A higher release would let an old bundle pass as a new one."""
    _changed(path, lambda file: file.model_copy(update={"statement": file.statement.replace(":7", ":9")}))


def _strangers_signature_under_a_trusted_id(path: Path) -> None:
    def claim(file: SignatureFile) -> SignatureFile:
        value = base64.b64encode(STRANGER.sign(signed_bytes(file.statement))).decode()
        return file.model_copy(update={"signatures": (Signature(key=BOX.public.id, value=value),)})

    _changed(path, claim)


def _signed_for_another_purpose(path: Path) -> None:
    """The key's signature over the bare statement, as another protocol might have had it made."""

    def bare(file: SignatureFile) -> SignatureFile:
        value = base64.b64encode(BOX.sign(file.statement.encode())).decode()
        return file.model_copy(update={"signatures": (Signature(key=BOX.public.id, value=value),)})

    _changed(path, bare)


def _signature_of_another_bundle(path: Path) -> None:
    other = write_tiny_bundle(path.with_name("other.edgebundle"), variants=ONNX_ONLY, version="1.0.1")
    path.write_bytes(pack({**parts(path), SIGNATURE: parts(sign(other, BOX))[SIGNATURE]}))


def _manifest_altered(path: Path) -> None:
    files = parts(sign(path, BOX))
    files[MANIFEST] = files[MANIFEST].replace(b'"ant"', b'"bee"')
    path.write_bytes(pack(files))


def _model_altered_and_the_manifest_with_it(path: Path) -> None:
    kept = parts(sign(path, BOX))[SIGNATURE]
    write_tiny_bundle(path, variants=ONNX_ONLY, extra={"agent.json": b"{}"})
    path.write_bytes(pack({**parts(path), SIGNATURE: kept}))


def _model_altered(path: Path) -> None:
    files = parts(sign(path, BOX))
    name = next(name for name in files if name.endswith(".onnx"))
    files[name] = files[name][:-1] + b"\0"
    path.write_bytes(pack(files))


def _no_json(path: Path) -> None:
    path.write_bytes(pack({**parts(path), SIGNATURE: b"{"}))


def _no_signatures(path: Path) -> None:
    _changed(path, lambda file: file.model_copy(update={"signatures": ()}))


def _endless(path: Path) -> None:
    path.write_bytes(pack({**parts(path), SIGNATURE: b" " * (1 << 17)}))


ATTACKS: list[tuple[Callable[[Path], None], type[EdgeError], str]] = [
    (_unsigned, Unsigned, "is not signed"),
    (_by_a_stranger, UnknownKey, STRANGER.public.id),
    (_revoked, RevokedKey, "laptop stolen"),
    (_signature_altered, BadSignature, "altered"),
    (_statement_altered, BadSignature, "altered"),
    (_strangers_signature_under_a_trusted_id, BadSignature, "altered"),
    (_signed_for_another_purpose, BadSignature, "altered"),
    (_signature_of_another_bundle, BadSignature, "other content"),
    (_manifest_altered, BadSignature, "other content"),
    (_model_altered_and_the_manifest_with_it, BadSignature, "other content"),
    (_model_altered, BadHash, "differs from its manifest"),
    (_no_json, BadSignature, "damaged"),
    (_no_signatures, BadSignature, "damaged"),
    (_endless, TooLarge, SIGNATURE),
]


@pytest.mark.parametrize(("attack", "kind", "says"), ATTACKS, ids=lambda one: getattr(one, "__name__", ""))
def test_what_is_not_signed_well_is_refused_by_name(
    path: Path, attack: Callable[[Path], None], kind: type[EdgeError], says: str
) -> None:
    attack(path)
    trusted = TRUSTED.without(SAFE.public.id, "laptop stolen")
    error = refused(path, trusted)
    assert type(error) is kind
    assert says in error.message


def test_the_attacks_are_none_without_the_attack(path: Path) -> None:
    """Negative control: the same way of repacking, with nothing changed, is taken."""
    _changed(path, lambda file: file)
    with open_bundle(path) as bundle:
        assert check_signature(bundle, TRUSTED).by == (BOX.public,)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_other_signature_file_is_taken(path: Path, data: st.DataObject) -> None:
    """Whatever one byte of the file becomes, it is refused, or says the same and is by the same key."""
    files = parts(sign(path, BOX))
    raw = bytearray(files[SIGNATURE])
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] = data.draw(st.integers(0, 255).filter(lambda value: value != raw[at]))
    path.with_name("x.edgebundle").write_bytes(pack({**files, SIGNATURE: bytes(raw)}))
    with open_bundle(path.with_name("x.edgebundle")) as bundle:
        try:
            signed = check_signature(bundle, TRUSTED)
        except BadSignature:
            return
        assert (signed.statement.release, signed.statement.bundle, signed.by) == (7, bundle.digest, (BOX.public,))


class TestTrustedKeys:
    def test_files_are_joined_and_a_revocation_wins_wherever_it_stands(self, tmp_path: Path) -> None:
        first, second = tmp_path / "a.keys", tmp_path / "b.keys"
        first.write_text(f"# mine\n{BOX.public.to_line()}\n\n{SAFE.public.to_line()}\nrevoked {BOX.public.id} lost\n")
        second.write_text(BOX.public.to_line() + "\n")
        for order in ([first, second], [second, first]):
            assert read_trusted_keys(order).good == (SAFE.public,)
        assert parse_trusted_keys(read_trusted_keys([first]).to_text()) == read_trusted_keys([first])

    @pytest.mark.parametrize(
        "line",
        ["ed25519 AAAA box", "rsa AAAA box", "ed25519 !!!! box", "revoked", "revoked xyz", f"revoke {BOX.public.id}",
         BOX.public.to_line() + " more", BOX.public.to_line().replace(" box", " b\tx")],
        # Keys are new in each process, and tests have the same names in all of them.
        ids=["short", "rsa", "no base64", "revoked nobody", "revoked no id", "revoke", "a word more", "a tab"],
    )  # fmt: skip
    def test_a_line_that_is_not_understood_is_refused_with_its_number(self, line: str) -> None:
        with pytest.raises(InputError, match=r"^t:2: "):
            parse_trusted_keys(f"{SAFE.public.to_line()}\n{line}\n", "t")

    def test_a_file_that_trusts_nobody_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "keys"
        path.write_text(f"{BOX.public.to_line()}\nrevoked {BOX.public.id}\n")
        for paths, says in (([], "no key"), ([path], "revoked"), ([tmp_path / "none"], "does not exist")):
            with pytest.raises(InputError, match=says):
                read_trusted_keys(paths)

    def test_a_private_key_is_refused_and_not_shown(self, tmp_path: Path) -> None:
        path = tmp_path / "box.key"
        path.write_bytes(BOX.to_pem())
        with pytest.raises(InputError, match="private key") as caught:
            read_trusted_keys([path])
        assert BOX.to_pem().splitlines()[1].decode() not in str(caught.value)

    @given(st.text(max_size=200))
    def test_any_text_is_read_or_refused(self, text: str) -> None:
        try:
            parse_trusted_keys(text)
        except InputError:
            return


def test_an_id_is_the_keys_and_a_line_is_read_back() -> None:
    assert PublicKey.from_line(BOX.public.to_line()) == BOX.public
    assert len({key.public.id for key in (BOX, SAFE, STRANGER)}) == 3


def test_the_device_needs_nothing_of_the_workstation_to_check(path: Path) -> None:
    """No torch, no command line; and cryptography only once there is something to check."""
    trusted = path.with_name("t.keys")
    trusted.write_text(TRUSTED.to_text())
    script = (
        "import sys, json, pathlib\n"
        "from edgesdk_targets.bundle.bundle import open_bundle\n"
        "from edgesdk_targets.signing.check import check_signature\n"
        "from edgesdk_targets.signing.trusted_keys import read_trusted_keys\n"
        "keys = read_trusted_keys([pathlib.Path(sys.argv[2])])\n"
        "early = 'cryptography' in sys.modules\n"
        "with open_bundle(sys.argv[1]) as bundle:\n"
        "    check_signature(bundle, keys)\n"
        "heavy = {'torch', 'typer', 'rich', 'edgesdk', 'edgesdk_converters', 'edgesdk_agent', 'numpy.testing'}\n"
        "print(json.dumps([early, sorted(heavy & set(sys.modules))]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(sign(path, BOX)), str(trusted)], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [False, []]
