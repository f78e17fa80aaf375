"""The boards that can be emulated: processor, how it names itself, and which instructions it has."""

from __future__ import annotations

from dataclasses import dataclass

from edgesdk_targets.catalogue import find_target
from edgesdk_targets.errors import InputError

_V8 = "fp asimd evtstrm"
CORES = 4


@dataclass(frozen=True, slots=True)
class Board:
    """A board as its programs see it.

    Attributes:
        target: its name in the catalogue.
        cpu: qemu's name of the processor.
        part: Arm's number of the processor, as `/proc/cpuinfo` gives it.
        features: the instruction sets that the kernel reports.
    """

    target: str
    model: str
    cpu: str
    part: int
    features: str

    @property
    def midr(self) -> int:
        """The processor's identification register: maker, part and revision."""
        return 0x41 << 24 | 0xF << 16 | self.part << 4 | 1

    def cpuinfo(self) -> str:
        """Return `/proc/cpuinfo`; without an Arm one LiteRT and ONNX Runtime end with SIGSEGV."""
        cores = "".join(
            f"processor\t: {core}\nBogoMIPS\t: 108.00\nFeatures\t: {self.features}\n"
            f"CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: {self.part:#x}\n"
            "CPU revision\t: 1\n\n"
            for core in range(CORES)
        )
        return f"{cores}Model\t\t: {self.model} (emulated)\n"


BOARDS = {
    board.target: board
    for board in (
        Board(
            "rpi5",
            "Raspberry Pi 5 Model B",
            "cortex-a76",
            0xD0B,
            f"{_V8} aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp",
        ),
        Board("rpi4", "Raspberry Pi 4 Model B", "cortex-a72", 0xD08, f"{_V8} crc32 cpuid"),
        Board("rpi-zero2w", "Raspberry Pi Zero 2 W", "cortex-a53", 0xD03, f"{_V8} crc32 cpuid"),
    )
}


def find_board(name: str) -> Board:
    """Return the board of a target's name or alias.

    Raises:
        InputError: it cannot be emulated.
    """
    target = find_target(name).name
    if target not in BOARDS:
        raise InputError(f"{target} cannot be emulated here.", hint=f"One of: {', '.join(BOARDS)}.")
    return BOARDS[target]
