from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk_targets.bundle.manifest import SCHEMA, Manifest, manifest_schema
from edgesdk_targets.errors import BadBundle, BundleError, UnknownSchema
from edgesdk_targets.target import Runtime
from edgesdk_testkit.tiny_bundles import tiny_manifest, tiny_variant
from edgesdk_testkit.tiny_models import CNN, STREAM

VARIANT = tiny_variant(CNN, "generic-onnx", Runtime.ONNXRUNTIME)[0]
MANIFEST = tiny_manifest(CNN, [VARIANT])


def changed(**changes: Any) -> bytes:
    return json.dumps({**json.loads(MANIFEST.to_bytes()), **changes}).encode()


def variant(**changes: Any) -> dict[str, Any]:
    return {"variants": [{**json.loads(MANIFEST.to_bytes())["variants"][0], **changes}]}


class TestBytes:
    def test_what_is_written_is_read(self) -> None:
        assert Manifest.from_bytes(MANIFEST.to_bytes()) == MANIFEST

    def test_equal_content_is_equal_bytes(self) -> None:
        raw = json.loads(MANIFEST.to_bytes())
        turned = json.dumps(dict(reversed(raw.items())), indent=4).encode()
        assert Manifest.from_bytes(turned).to_bytes() == MANIFEST.to_bytes()

    def test_it_is_plain_sorted_json(self) -> None:
        text = MANIFEST.to_bytes().decode()
        assert text.endswith("}\n")
        raw = json.loads(text)
        assert list(raw) == sorted(raw)
        assert raw["schema"] == SCHEMA == "edgebundle/1"

    def test_labels_of_all_scripts_stay_readable(self) -> None:
        manifest = tiny_manifest(CNN, [VARIANT], labels=("Käse", "猫", "🐝", "d", "e"))
        data = manifest.to_bytes()
        assert "猫" in data.decode()
        assert Manifest.from_bytes(data).labels == manifest.labels

    def test_fields_of_a_later_minor_version_are_ignored(self) -> None:
        assert Manifest.from_bytes(changed(added_later={"x": 1})) == MANIFEST


class TestRefused:
    @pytest.mark.parametrize("schema", ["edgebundle/2", "edgebundle/0", "edgebundle", "", None, 1, ["edgebundle/1"]])
    def test_another_schema(self, schema: object) -> None:
        with pytest.raises(UnknownSchema, match="schema"):
            Manifest.from_bytes(changed(schema=schema))

    @pytest.mark.parametrize("data", [b"[]", b"{}", b'"x"', b"null"])
    def test_json_without_a_schema(self, data: bytes) -> None:
        with pytest.raises(UnknownSchema):
            Manifest.from_bytes(data)

    @pytest.mark.parametrize(
        "data",
        [b"", b"{", b"\xff\xfe", b"{'a': 1}", b"[" * 100_000, b'{"schema": ' + b"9" * 5000 + b"}"],
        ids=["empty", "cut", "no-utf8", "python", "deep", "huge-number"],
    )
    def test_what_is_no_json(self, data: bytes) -> None:
        with pytest.raises(BadBundle, match="not JSON"):
            Manifest.from_bytes(data)

    @pytest.mark.parametrize(
        ("changes", "named"),
        [
            ({"name": "a/b"}, "name"),
            ({"name": "x" * 65}, "name"),
            ({"version": "latest"}, "version"),
            ({"task": "guess"}, "task"),
            ({"inputs": []}, "inputs"),
            ({"variants": []}, "variants"),
            ({"inputs": [{"name": "image", "shape": [1, 0]}]}, "inputs.0.shape"),
            ({"inputs": [{"name": "image", "shape": [1, -1]}]}, "static"),
            ({"inputs": [{"name": "image", "shape": [1 << 20, 1 << 20]}]}, "inputs.0.shape"),
            ({"inputs": [{"name": "image", "shape": [1], "dtype": "complex64"}]}, "inputs.0.dtype"),
            ({"files": {"a": {"sha256": "xyz", "size": 1}}}, "files.a.sha256"),
            ({"files": {"a": {"sha256": "0" * 64, "size": -1}}}, "files.a.size"),
            ({"files": {}}, "not listed"),
            ({"state": [{"input": "h", "output": "g"}]}, "state"),
            ({"postprocess": {"score_threshold": 2}}, "postprocess.score_threshold"),
            ({"preprocess": {"size": [0, 1]}}, "preprocess"),
            (variant(runtime="cuda"), "runtime"),
            (variant(id="../x"), "id"),
            (variant(files={}), "no file in the role 'model'"),
            (variant(outputs=[]), "another number"),
            (variant(inputs=[{"name": "image", "shape": [1, 3, -1, -1]}]), "without a static shape"),
        ],
    )
    def test_a_wrong_field_is_named(self, changes: dict[str, Any], named: str) -> None:
        with pytest.raises(BadBundle) as raised:
            Manifest.from_bytes(changed(**changes))
        assert named in raised.value.message

    def test_two_variants_of_one_id(self) -> None:
        with pytest.raises(BadBundle, match="same id"):
            Manifest.from_bytes(changed(variants=variant()["variants"] * 2))

    @given(st.dictionaries(st.sampled_from(sorted(json.loads(MANIFEST.to_bytes()))), st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=6,
    ), min_size=1, max_size=3))  # fmt: skip
    @settings(max_examples=300, deadline=None)
    def test_any_values_give_a_manifest_or_an_error_of_ours(self, values: dict[str, Any]) -> None:
        try:
            manifest = Manifest.from_bytes(changed(**values))
        except BundleError:
            return
        assert Manifest.from_bytes(manifest.to_bytes()) == manifest


def test_the_state_names_tensors_of_the_model() -> None:
    manifest = tiny_manifest(STREAM, [tiny_variant(STREAM, "generic-onnx", Runtime.ONNXRUNTIME)[0]])
    assert manifest.state[0].input == "before"


def test_the_published_schema_describes_it() -> None:
    schema = manifest_schema()
    assert {"schema", "name", "variants", "files"} <= set(schema["properties"])
    assert set(schema["required"]) >= {"name", "version", "task", "inputs", "outputs", "variants", "files"}
