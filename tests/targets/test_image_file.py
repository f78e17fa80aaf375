from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.image_file import MAX_FILE_BYTES, decode_image, list_images, read_image
from edgesdk_targets.tensor import Array

PICTURE = np.zeros((12, 20, 3), np.uint8)
PICTURE[:4, :6] = (255, 0, 0)
PICTURE[6:, 10:] = (0, 0, 255)


def encoded(suffix: str, image: Array = PICTURE) -> bytes:
    done, data = cv2.imencode(suffix, image)
    assert done
    return bytes(data)


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header promises a picture of any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".ppm", ".tiff", ".webp", ".jpg"])
def test_formats(suffix: str) -> None:
    image = decode_image(encoded(suffix))
    assert (image.shape, image.dtype) == ((12, 20, 3), np.uint8)
    if suffix not in {".jpg", ".webp"}:
        np.testing.assert_array_equal(image, PICTURE)
    assert image[1, 1].argmax() == 0
    assert image[9, 15].argmax() == 2


@pytest.mark.parametrize(
    "image",
    [PICTURE[:, :, 0], PICTURE.astype(np.uint16) * 257, np.dstack([PICTURE, np.full((12, 20), 9, np.uint8)])],
    ids=["gray", "16-bit", "alpha"],
)
def test_every_png_becomes_three_channels_of_bytes(image: Array) -> None:
    decoded = decode_image(encoded(".png", image))
    assert (decoded.shape, decoded.dtype) == ((12, 20, 3), np.uint8)


def test_a_photo_is_turned_as_its_exif_says() -> None:
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    app1 = b"\xff\xe1" + struct.pack(">H", 2 + 6 + len(tiff)) + b"Exif\0\0" + tiff
    jpeg = encoded(".jpg")
    assert decode_image(jpeg[:2] + app1 + jpeg[2:]).shape == (20, 12, 3)


@pytest.mark.parametrize("data", [b"", b"hello", b"\x89PNG\r\n\x1a\n", bytes(1000), encoded(".png")[:30]])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="front-door"):
        decode_image(data, name="front-door")


def test_a_picture_that_claims_too_much_is_refused_before_memory_is_taken() -> None:
    """In a process of its own, which may not take the memory either; preprocessing is imported in the usual order."""
    script = (
        "import sys\n"
        "import edgesdk_targets.preprocess.apply\n"
        "from edgesdk_targets.preprocess.image_file import decode_image\n"
        "from edgesdk_targets.errors import InputError\n"
        "data = sys.stdin.buffer.read()\n"
        "try:\n"
        "    decode_image(data)\n"
        "except InputError as error:\n"
        # VmHWM, and not ru_maxrss: the latter begins at the peak of the process that forked this one.
        "    peak = [line for line in open('/proc/self/status') if line.startswith('VmHWM')]\n"
        "    print(error.message, peak[0].split()[1])\n"
    )
    # 4.9e8 pixels: over our limit of 2^28, under OpenCV's own of 2^30.
    done = subprocess.run(
        [sys.executable, "-c", script], input=png_that_claims(22_000, 22_000), capture_output=True, check=True
    )
    message, _, peak_kb = done.stdout.decode().strip().rpartition(" ")
    assert "decoded" in message, done.stderr.decode()
    assert int(peak_kb) < 400_000


@given(st.binary(max_size=400), st.integers(0, 300), st.sampled_from([".png", ".bmp", ".jpg", ".ppm"]))
@settings(max_examples=150, deadline=None)
def test_damaged_pictures_are_pictures_or_errors_of_ours(noise: bytes, position: int, suffix: str) -> None:
    data = bytearray(encoded(suffix))
    data[position : position + len(noise)] = noise
    try:
        image = decode_image(bytes(data))
    except InputError:
        return
    assert image.ndim == 3


class TestFiles:
    def test_reads_a_path_of_any_name(self, tmp_path: Path) -> None:
        for name in ("a.png", "ä ö.PNG", "no suffix"):
            (tmp_path / name).write_bytes(encoded(".png"))
            np.testing.assert_array_equal(read_image(tmp_path / name), PICTURE)
        np.testing.assert_array_equal(read_image(str(tmp_path / "a.png")), PICTURE)

    def test_names_what_it_cannot_read(self, tmp_path: Path) -> None:
        for path, why in ((tmp_path / "absent.png", "No such file"), (tmp_path, "Is a directory")):
            with pytest.raises(InputError, match=why):
                read_image(path)

    def test_a_huge_file_is_not_read(self, tmp_path: Path) -> None:
        path = tmp_path / "huge.png"
        with path.open("wb") as file:
            file.truncate(MAX_FILE_BYTES + 1)
        with pytest.raises(InputError, match="larger than 256 MiB"):
            read_image(path)

    def test_lists_pictures_by_name(self, tmp_path: Path) -> None:
        for name in ("b.png", "a.JPG", "c.txt", "d.webp"):
            (tmp_path / name).write_bytes(b"")
        (tmp_path / "folder.png").mkdir()
        assert [path.name for path in list_images(tmp_path)] == ["a.JPG", "b.png", "d.webp"]

    def test_a_folder_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="absent"):
            list_images(tmp_path / "absent")
