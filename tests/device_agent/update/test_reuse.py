"""What a device holds already is copied and not fetched; and nothing that a list says of it is believed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgesdk_agent.update.fetch.download import Downloaded, download
from edgesdk_agent.update.record import Release
from edgesdk_targets.bundle.bundle import open_bundle, write_bundle
from edgesdk_targets.bundle.chunk_list import ChunkList, chunks_of
from edgesdk_targets.bundle.segments import Segment, segments_of
from edgesdk_targets.errors import BadBundle, BadHash
from edgesdk_testkit.update_life import make

CHUNK = 1 << 14
RANDOM = random.Random(5)
LARGE, SMALL = RANDOM.randbytes(40 * CHUNK + 77), RANDOM.randbytes(3 * CHUNK + 5)


@dataclass
class Server:
    """A bundle file that is read in parts; what was read is counted."""

    content: bytes
    chunks: ChunkList
    read_bytes: int = 0
    reads: list[tuple[int, int]] = field(default_factory=list)

    def chunk_list(self) -> bytes:
        return self.chunks.to_bytes()

    def read(self, start: int, length: int) -> bytes:
        self.reads.append((start, length))
        self.read_bytes += length
        return self.content[start : start + length]


def bundle(folder: Path, version: str, **files: bytes) -> Path:
    """Write a bundle of the tiny one's files and these."""
    path = folder / f"{version}.edgebundle"
    with open_bundle(make(folder, 1).path) as tiny:
        own = {name: tiny.read(name) for name in tiny.manifest.files}
        manifest = tiny.manifest.model_copy(update={"version": version})
    write_bundle(path, manifest, {**own, **{f"files/{name}": content for name, content in files.items()}})
    return path


def served(path: Path) -> tuple[Server, Release]:
    with open_bundle(path) as opened:
        chunks = chunks_of(opened, 1, CHUNK)
        release = Release(id=opened.digest, name="cnn", version="1.0.0", number=1, size=chunks.size)
    return Server(path.read_bytes(), chunks), release


@pytest.fixture
def held(tmp_path: Path) -> Path:
    """Return what the device holds: a large file, and two small ones."""
    return bundle(tmp_path, "1.0.0", large=LARGE, small=SMALL, other=SMALL[::-1])


def test_a_bundle_that_differs_in_one_file_brings_only_about_that_file(held: Path, tmp_path: Path) -> None:
    changed = RANDOM.randbytes(len(SMALL))
    new = bundle(tmp_path, "1.1.0", large=LARGE, small=changed, other=SMALL[::-1])
    server, release = served(new)
    done = download(server, release, tmp_path / "came", held=[tmp_path / "none", held])
    assert (tmp_path / "came").read_bytes() == new.read_bytes()
    assert done == Downloaded(server.read_bytes, release.size - server.read_bytes)
    # The file itself; the manifest, the small files and the table of contents are a few thousand bytes.
    assert len(changed) < server.read_bytes < len(changed) + CHUNK
    # The negative control: without what is held all of it comes.
    again, release = served(new)
    assert download(again, release, tmp_path / "whole") == Downloaded(release.size, 0)
    assert again.read_bytes == release.size


def test_where_a_file_lies_does_not_matter(held: Path, tmp_path: Path) -> None:
    """Something new before it moves it by bytes that are no multiple of a chunk."""
    new = bundle(tmp_path, "1.1.0", large=LARGE, a_new_one=RANDOM.randbytes(CHUNK + 1234), small=SMALL)
    server, release = served(new)
    download(server, release, tmp_path / "came", held=[held])
    assert (tmp_path / "came").read_bytes() == new.read_bytes()
    assert server.read_bytes < 3 * CHUNK


@pytest.mark.parametrize("harm", ["the list", "the file that is held"])
def test_a_false_segment_wastes_a_copy_and_is_fetched(held: Path, tmp_path: Path, harm: str) -> None:
    new = bundle(tmp_path, "1.1.0", large=LARGE, small=SMALL[::2])
    server, release = served(new)
    if harm == "the list":
        own = segments_of(held)
        most = max(own, key=lambda one: one.size)
        false = [
            one.model_copy(update={"sha256": most.sha256}) if one.size == most.size else one
            for one in server.chunks.segments
        ]
        # The same bytes at another place than where they belong.
        moved = [one.model_copy(update={"start": max(one.start - 100, 0)}) for one in false]
        server.chunks = server.chunks.model_copy(update={"segments": tuple(moved)})
    else:
        content = bytearray(held.read_bytes())
        at = max(segments_of(held), key=lambda one: one.size).start + 5 * CHUNK
        content[at] ^= 1
        held.write_bytes(content)
    done = download(server, release, tmp_path / "came", held=[held])
    assert (tmp_path / "came").read_bytes() == new.read_bytes()
    assert done.fetched <= 2 * release.size
    assert server.read_bytes == done.fetched


def test_what_is_wrong_twice_is_refused_whatever_was_copied(held: Path, tmp_path: Path) -> None:
    new = bundle(tmp_path, "1.1.0", large=LARGE, small=SMALL[::2])
    server, release = served(new)
    server.content = bytes(len(server.content))
    with pytest.raises(BadHash, match="came twice"):
        download(server, release, tmp_path / "came", held=[held])
    assert server.read_bytes <= 2 * CHUNK


def test_a_download_goes_on_with_what_was_copied_before_it_was_cut(held: Path, tmp_path: Path) -> None:
    new = bundle(tmp_path, "1.1.0", large=LARGE, small=RANDOM.randbytes(len(SMALL)))
    server, release = served(new)
    first = iter([True])

    def cut(_there: int, _of: int) -> None:
        if next(first, False):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(server, release, tmp_path / "came", held=[held], told=cut)
    before = server.read_bytes
    download(server, release, tmp_path / "came", held=[held])
    assert (tmp_path / "came").read_bytes() == new.read_bytes()
    assert server.read_bytes < len(SMALL) + 2 * CHUNK
    assert server.read_bytes > before


def test_the_segments_of_a_file_are_its_entries(held: Path) -> None:
    content, found = held.read_bytes(), segments_of(held)
    assert [one.start for one in found] == sorted(one.start for one in found)
    assert sum(one.size for one in found) > len(LARGE) + 2 * len(SMALL)
    import hashlib

    assert all(hashlib.sha256(content[one.start : one.end]).hexdigest() == one.sha256 for one in found)


@pytest.fixture
def garbage(tmp_path: Path) -> Path:
    path = tmp_path / "garbage"
    path.write_bytes(RANDOM.randbytes(5000))
    return path


def test_what_is_no_container_has_no_segments_and_gives_nothing(garbage: Path, held: Path, tmp_path: Path) -> None:
    assert segments_of(garbage) == ()
    server, release = served(held)
    assert download(server, release, tmp_path / "came", held=[garbage, tmp_path]).reused == 0


def test_a_segment_beyond_the_files_end_is_no_list(held: Path) -> None:
    server, release = served(held)
    beyond = Segment(start=release.size - 1, size=2, sha256="0" * 64)
    raw = server.chunks.model_copy(update={"segments": (beyond,)}).to_bytes()
    with pytest.raises(BadBundle):
        ChunkList.from_bytes(raw)
