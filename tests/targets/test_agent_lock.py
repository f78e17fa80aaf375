"""The lock of a release of the agent: one wheel a line, by its hash; whatever else pip would read there is refused."""

from __future__ import annotations

import pytest

from edgesdk_targets.agent_release.lock import Locked, check_wheels, read_lock, write_lock
from edgesdk_targets.errors import BadBundle

ONE, TWO = "1" * 64, "2" * 64
GOOD = f"numpy==2.1.0 --hash=sha256:{ONE}"


def test_what_is_read_is_written_without_anything_else() -> None:
    text = f"# -*- coding: utf-7 -*-\n\n{GOOD}\nedgesdk[agent,tuf]==0.2.0+x --hash=sha256:{TWO}\n"
    found = read_lock(text.encode())
    assert found == (Locked("numpy", "2.1.0", ONE), Locked("edgesdk", "0.2.0+x", TWO))
    assert write_lock(found) == f"{GOOD}\nedgesdk==0.2.0+x --hash=sha256:{TWO}\n".encode()


@pytest.mark.parametrize(
    "line",
    [
        "numpy==2.1.0", f"numpy --hash=sha256:{ONE}", f"numpy>=2 --hash=sha256:{ONE}", f"{GOOD} --hash=sha256:{TWO}",
        "--index-url https://evil.example/simple", "-r /etc/passwd", "-e .", "--find-links /tmp", "./numpy.whl",
        f"numpy @ https://evil.example/numpy.whl --hash=sha256:{ONE}", f"git+https://evil.example/n#egg=n --hash=sha256:{ONE}",
        f"numpy @ file:///tmp/numpy.whl --hash=sha256:{ONE}", f"{GOOD} ; python_version > '3'", f"{GOOD}\\", f" {GOOD}",
        f"{GOOD} # and", f"{GOOD}\r--pre", f"{GOOD}\u2028-e .", f"-e==1 --hash=sha256:{ONE}", f"numpy==2 --hash=md5:{ONE[:32]}",
    ],
    ids=lambda line: repr(line)[:30],
)  # fmt: skip
def test_anything_else_is_refused(line: str) -> None:
    with pytest.raises(BadBundle, match="not one wheel by its hash"):
        read_lock(f"{GOOD}\n{line}\n".encode())


def test_it_names_exactly_the_wheels_that_are_there() -> None:
    locked = read_lock(GOOD.encode())
    check_wheels(locked, [ONE])
    for wheels in ([], [ONE, TWO], [TWO]):
        with pytest.raises(BadBundle, match="other wheels"):
            check_wheels(locked, wheels)
    with pytest.raises(BadBundle, match="other wheels"):
        check_wheels((*locked, *locked), [ONE])
