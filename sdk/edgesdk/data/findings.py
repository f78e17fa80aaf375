"""What can be wrong with a picture, a label or a set.

A fault is what a reader would stumble over, or what would make a figure wrong; a remark is worth knowing.
"""

from __future__ import annotations

from dataclasses import dataclass

# Kind → is it a fault, and what it says in a report.
KINDS: dict[str, tuple[bool, str]] = {
    "corrupt": (True, "damaged, cut off, or no picture"),
    "too-large": (True, "declares more pixels than are decoded: not opened"),
    "listed-twice": (True, "one file listed twice: the first counts"),
    "outside": (True, "leads out of the dataset's folder"),
    "no-label": (True, "picture without a label"),
    "no-picture": (True, "label without a picture"),
    "bad-label": (True, "label that cannot be read"),
    "unknown-class": (True, "class that the dataset does not name"),
    "empty-class": (True, "class without pictures"),
    "wrong-suffix": (False, "another format than its name says"),
    "tiny": (False, "smaller than a model can use"),
    "colour-mode": (False, "another colour mode than most"),
    "flat": (False, "one colour all over"),
    "single": (False, "class with one picture only"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found.

    Attributes:
        kind: one of `KINDS`.
        name: of the picture, label file, line or class, relative to the dataset.
        detail: what exactly, one clause.
        split: of the set that it was found in; "" without any.
    """

    kind: str
    name: str
    detail: str
    split: str = ""

    @property
    def fault(self) -> bool:
        return KINDS[self.kind][0]

    def to_json(self) -> dict[str, object]:
        """Return it for `--json`."""
        return {
            "kind": self.kind,
            "fault": self.fault,
            "name": self.name,
            "split": self.split,
            "detail": self.detail,
        }
