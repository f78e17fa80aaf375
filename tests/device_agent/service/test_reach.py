"""A file that the service's user could not read is named before the service is installed, with what to do."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from edgesdk_agent.service.reach import check_reach
from edgesdk_targets.errors import InputError


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that everybody may read, in a folder of the test that counts as no temporary one."""
    monkeypatch.setattr("edgesdk_agent.service.reach._PRIVATE", ())
    place = tmp_path / "home" / "model.edgebundle"
    place.parent.mkdir()
    place.touch()
    for one in (place, *place.parents):
        if one.is_relative_to(tmp_path.parents[2]):
            one.chmod(0o755)
    return place


def test_what_everybody_reads_is_taken(file: Path) -> None:
    check_reach(file, "edgesdk")


@pytest.mark.parametrize("closed", ["home", "home/model.edgebundle"])
def test_what_is_closed_is_named_with_the_command_that_opens_it(file: Path, closed: str) -> None:
    place = file.parents[1] / closed
    place.chmod(0o700)
    with pytest.raises(InputError, match="closed to others") as raised:
        check_reach(file, "edgesdk")
    assert str(raised.value.hint).endswith(f"chmod o+{'x' if place.is_dir() else 'r'} {place}")
    check_reach(file, getpass.getuser())


def test_what_lies_in_a_temporary_folder_is_hidden_from_a_service(file: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgesdk_agent.service.reach._PRIVATE", (file.parents[1],))
        with pytest.raises(InputError, match="hidden"):
            check_reach(file, "edgesdk")


def test_a_link_is_judged_by_where_it_leads(file: Path) -> None:
    link = file.parents[1] / "link"
    link.symlink_to(file)
    file.parent.chmod(0o700)
    with pytest.raises(InputError, match="closed to others"):
        check_reach(link, "edgesdk")
