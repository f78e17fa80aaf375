"""What a detector under training finds on the validation pictures: decoded as on the device, in pixels of the model's input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import cast

from edgesdk.evaluate.average_precision import Matched, average_precisions, match, whole
from edgesdk.layouts.truth import Truth
from edgesdk.train.batch import BoxTargets
from edgesdk.train.moment import Moment
from edgesdk_converters.reference import named_outputs, spec_of
from edgesdk_targets.card import CardFile
from edgesdk_targets.decode.decoder import Decoder
from edgesdk_targets.decode.postprocess import Postprocess, judged_with
from edgesdk_targets.errors import InputError
from edgesdk_targets.results import Detections
from edgesdk_targets.tensor import Array


class MatchedBoxes:
    """Matches what a detector finds in each picture of a batch with what is there.

    Args:
        card: says how outputs are decoded; every score counts that counts where a model is judged.
    """

    def __init__(self, card: CardFile) -> None:
        self._card = card
        self._decoder: Decoder | None = None

    def __call__(self, moment: Moment) -> list[Matched]:
        """Return each picture's detections, matched at an overlap of one half.

        Raises:
            InputError: the outputs cannot be decoded as the card says, or are of another number of pictures.
        """
        answer = named_outputs(moment.outputs, self._card.card)
        outputs = {name: tensor.detach().cpu().numpy() for name, tensor in answer.items()}
        targets, count = cast("BoxTargets", moment.targets), len(moment.images)
        for name, array in outputs.items():
            if array.shape[:1] != (count,):
                raise InputError(
                    f"The model's output {name!r} is {list(array.shape)} for {count} pictures: the pictures come first.",
                    hint="Let its forward keep the first axis for the pictures.",
                )
        each = [{name: array[i : i + 1] for name, array in outputs.items()} for i in range(count)]
        truths = [
            Truth(*(part.cpu().numpy() for part in one))
            for one in zip(targets.boxes, targets.class_ids, targets.crowd, strict=True)
        ]
        return [self._matched(one, truth) for one, truth in zip(each, truths, strict=True)]

    def _matched(self, outputs: Mapping[str, Array], truth: Truth) -> Matched:
        if self._decoder is None:
            card, labels = self._card.card, self._card.labels
            settings = Postprocess.model_validate({**card.postprocess.model_dump(), **judged_with(card.task)})
            specs = tuple(spec_of(name, array) for name, array in outputs.items())
            size = card.preprocess.size if card.preprocess is not None else None
            self._decoder = Decoder(card.task, settings, labels, specs, size)
        found = cast("Detections", self._decoder(outputs, None))
        return match(found.boxes, found.scores, found.class_ids, truth)


def ap50_of(batches: Sequence[Sequence[Matched]]) -> float:
    """Return the mean average precision at an overlap of one half, over the classes that have boxes.

    Raises:
        InputError: no picture has a box.
    """
    pictures = list(chain.from_iterable(batches))
    if not any(picture.positives for picture in pictures):
        raise InputError("No picture to judge by has a box.", hint="Give validation pictures with labelled objects.")
    means, _ = average_precisions(pictures, whole(len(pictures)))
    return float(means[0])
