"""The table of fields names fields that are there, and what is a path or a secret follows from its type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgesdk_agent.config.field_kinds import is_path, is_secret
from edgesdk_agent.config.field_table import NEVER_SETTABLE, PARTS, PROPOSABLE, ROWS, USUALLY_SETTABLE, part_of
from edgesdk_agent.config.loading import load_config
from edgesdk_agent.config.root import AgentConfig
from edgesdk_targets.field_problems import FieldPath


def _fields(annotation: Any, path: str = "") -> set[str]:
    found = {path}
    for name, field in getattr(annotation, "model_fields", {}).items():
        found |= _fields(field.annotation, f"{path}.{name}" if path else name)
    for inner in getattr(annotation, "__args__", ()):
        found |= _fields(inner, path)
    return found


def test_every_row_is_of_a_field_and_of_a_part_that_there_is() -> None:
    assert set(ROWS) <= _fields(AgentConfig)
    assert {row.part for row in ROWS.values()} == {"", *PARTS}


def test_the_docs_name_all_that_changes_without_a_restart(root: Path) -> None:
    text = (root / "docs/configuration.md").read_text()
    table = text.split("## What changes without a restart")[1].split("## ")[0]
    changing = {path for path, row in ROWS.items() if row.part}
    # A section whose fields all change is named alone; others field by field, or with the first of them.
    assert {path for path in changing if f"`{path}`" not in table and f"`{path.split('.')[0]}`" not in table} == set()


def test_the_most_particular_row_holds() -> None:
    assert (part_of("events"), part_of("events.rules[0].when"), part_of("events.names")) == ("", "scenes", "")
    assert (part_of("commands.trial_s"), part_of("commands.state"), part_of("health.warm_c")) == ("commands", "", "")
    assert part_of("then.bundle") == "model"


def test_nothing_that_is_closed_is_open_by_another_row() -> None:
    assert {"commands", "device", "hooks", "stages", "mqtt.url", "mqtt.password", "bundle"} <= set(NEVER_SETTABLE)
    assert not set(NEVER_SETTABLE) & {*USUALLY_SETTABLE, *PROPOSABLE}


@pytest.mark.parametrize(
    ("path", "path_like", "secret"),
    [
        (("bundle",), True, False),
        (("governor", "ladder", 3, "bundle"), True, False),
        (("clips", "upload", "ca"), True, False),
        (("mqtt", "password"), False, True),
        (("clips", "upload", "token"), False, True),
        (("preview", "token"), False, True),
        (("device", "name"), False, False),
        (("cameras", 0, "source"), False, False),
    ],
)
def test_what_a_field_holds_follows_from_its_type(path: FieldPath, path_like: bool, secret: bool) -> None:
    assert (is_path(path), is_secret(path)) == (path_like, secret)


def test_every_path_in_the_file_is_relative_to_it(tmp_path: Path) -> None:
    file = tmp_path / "edgesdk.yaml"
    file.write_text(
        "bundle: m.edgebundle\ncameras: [{name: a, source: 'synthetic:'}]\nmqtt: {url: 'mqtt://b'}\n"
        "clips: {upload: {ca: ca.pem}}\n"
    )
    assert load_config(file, environment={}).config.clips.upload.ca == tmp_path / "ca.pem"
