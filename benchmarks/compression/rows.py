"""The rows of a table of compression: what each recipe makes of one model, as artifacts of the same families.

What is finished is kept under a hash of the recipe, its pictures, the card, its weights and edgesdk's version; what was made,
trained and converted so far is found again by `edgesdk compress` itself. So a run that was broken off goes on, and a copy of the
work folder is as good as it. Another program under the same version and other code of the card's are not told: they want another
`--work`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from artifact import Artifact, Judge
from asked import asked
from table.cases import FAMILIES
from table.kept import Kept

from edgesdk import __version__
from edgesdk.compression_run.digest import digest_of_files, files_behind
from edgesdk.evaluate.dataset import open_dataset
from edgesdk_targets.card import read_card
from edgesdk_targets.catalogue import find_target

BEFORE = "none"
# Where a pass alone loses more than a point, that is a figure of its row.
_MOST_LOST = "0.9"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is asked for in a row.

    Attributes:
        passes: as in a recipe's file.
        precision: of the artifacts.
        sensitivity: as in a recipe's file; False for none.
    """

    passes: Sequence[Mapping[str, Any]]
    precision: str = "fp32"
    sensitivity: Mapping[str, Any] | bool = False

    def text(self, data: Mapping[str, Path]) -> str:
        """Return it as a recipe's file has it."""
        return json.dumps({"data": {name: str(path.resolve()) for name, path in data.items()}, **self.asks}, indent=1)

    @property
    def asks(self) -> dict[str, Any]:
        """What is asked for, whatever it is learnt from and judged by."""
        return {
            "passes": list(self.passes),
            "recovery": False,
            "precision": self.precision,
            "sensitivity": self.sensitivity,
        }


Compress = Callable[[Path, Recipe, Mapping[str, Path], Path], tuple[Path, dict[str, Any]]]


def by_command(card: Path, recipe: Recipe, data: Mapping[str, Path], folder: Path) -> tuple[Path, dict[str, Any]]:
    """Run `edgesdk compress`."""
    file = folder / "recipe.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(recipe.text(data), "utf-8")
    # Its own bundle is not used: the families of the table are converted afterwards.
    target = FAMILIES["OpenVINO"]
    done = asked("compress", card, "--recipe", file, "--target", target, "--max-drop", _MOST_LOST, "-o", folder)
    passes = [told_of(one) for one in done["passes"]]
    return Path(done["card"]), {"before": done["before"], "after": done["after"], "passes": passes}


def told_of(one: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a row tells of a pass, with what the layers bore where that was measured."""
    brief = ("kind", "settings", "score_applied", "score", "outcome", "seconds")
    scores = ("score_alike", "score_by_layer", "taken")
    layers = one["record"].get("layer_sensitivity")
    return {key: one[key] for key in brief} | ({"by_layer": {key: layers[key] for key in scores}} if layers else {})


class Rows:
    """Makes the rows of one model.

    Args:
        card: of the model before compression.
        data: as in a recipe: `evaluate`, and `train`, `choose` or both; INT8 is calibrated on the first of these.
        families: of artifacts; names of `table.cases.FAMILIES`.
        work: for all that is made.
        compress: (card, recipe, data, folder) → the card of what it made, and what is told of it.
    """

    def __init__(
        self,
        card: Path,
        data: Mapping[str, Path],
        families: Sequence[str],
        work: Path,
        compress: Compress | None = None,
    ) -> None:
        self._card, self._data, self._families, self._work = card, data, families, work
        self._compress = compress or by_command
        self._kept = Kept(work)

    def before(self) -> dict[str, Any]:
        """Return the row of the model as it was, in float32."""
        return self._made(BEFORE, Recipe(()))

    def row(self, name: str, recipe: Recipe, begun: Iterable[str] = ()) -> dict[str, Any]:
        """Return the row of a recipe; one without passes is converted in its precision, and that is all.

        Args:
            begun: rows whose finished passes may be this one's first; `edgesdk compress` takes those that are the same.
        """
        return self._made(name, recipe, begun)

    def find(self, name: str, recipe: Recipe) -> dict[str, Any] | None:
        """Return a row that is kept, and still that of its recipe."""
        content = self._kept.fresh("rows", _file(name), self._key(recipe))
        made = content is not None and all(
            path.is_file() for path in {a.bundle for a in self.artifacts(content).values()}
        )
        return content if made else None

    def artifacts(self, row: Mapping[str, Any]) -> dict[str, Artifact]:
        """Return a row's artifacts by family."""
        return {
            family: Artifact(self._work / row["bundle"], one["variant"]) for family, one in row["artifacts"].items()
        }

    def _made(self, name: str, recipe: Recipe, begun: Iterable[str] = ()) -> dict[str, Any]:
        if (known := self.find(name, recipe)) is not None:
            return known
        since = time.monotonic()
        card, found = self._compressed(name, recipe, begun) if recipe.passes else (self._card, {})
        bundle = self._folder(name) / "made.edgebundle"
        variants = self._converted(card, recipe.precision, bundle)
        own = {family: Artifact(bundle, one["id"]) for family, one in variants.items()}
        judge = Judge(own, self._data["evaluate"]) if name == BEFORE else self._judge
        content = {
            **found,
            "bundle": bundle.relative_to(self._work).as_posix(),
            "artifacts": {
                family: {
                    "variant": artifact.variant,
                    "precision": variants[family]["precision"],
                    **artifact.sizes(),
                    **judge(family, artifact),
                }
                for family, artifact in own.items()
            },
        }
        self._kept.put("rows", _file(name), self._key(recipe), content, time.monotonic() - since)
        return content

    @cached_property
    def _judge(self) -> Judge:
        return Judge(self.artifacts(self.before()), self._data["evaluate"])

    def _compressed(self, name: str, recipe: Recipe, begun: Iterable[str]) -> tuple[Path, dict[str, Any]]:
        passes = self._folder(name) / "passes"
        for other in begun:
            if not passes.exists() and (self._folder(other) / "passes").exists():
                shutil.copytree(self._folder(other) / "passes", passes)
        return self._compress(self._card, recipe, self._data, self._folder(name))

    def _converted(self, card: Path, precision: str, bundle: Path) -> dict[str, dict[str, Any]]:
        """Return the variant of each family, all in one bundle.

        Raises:
            SystemExit: another runtime than the family's own stands in for it.
        """
        targets = [word for family in self._families for word in ("--target", FAMILIES[family])]
        words: list[str | Path] = ["convert", card, *targets, "--precision", precision, "-o", bundle]
        if precision == "int8":
            learnt = self._data.get("train") or self._data["choose"]
            words += ["--calib-data", learnt, "--data", self._data["evaluate"], "--max-drop", _MOST_LOST]
        made = {one["target"]: one for one in asked(*words)["variants"]}
        for family in self._families:
            one = made[FAMILIES[family]]
            if one["runtime"] != find_target(FAMILIES[family]).runtimes[0].value:
                raise SystemExit(f"{card}: {family} cannot have it: {'; '.join(one['notes'])}")
        return {family: made[FAMILIES[family]] for family in self._families}

    def _key(self, recipe: Recipe) -> str:
        card = read_card(self._card)
        weights = (card.folder / str(card.card.source)).read_bytes()
        parts = [__version__, recipe.asks, self._digests, self._card.read_text("utf-8"), list(self._families)]
        return hashlib.sha256(json.dumps(parts).encode() + weights).hexdigest()

    @cached_property
    def _digests(self) -> dict[str, str]:
        card = read_card(self._card)
        opened = {
            name: open_dataset(path, task=card.card.task, labels=card.labels) for name, path in self._data.items()
        }
        return {
            name: digest_of_files(files_behind(self._data[name], [sample.path for sample in found.samples]))
            for name, found in opened.items()
        }

    def _folder(self, name: str) -> Path:
        return self._work / _file(name)


def _file(name: str) -> str:
    return name.replace(" ", "")
