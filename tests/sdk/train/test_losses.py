"""The usual losses, and those that a model's author brings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgesdk.train.batch import Batch, TextTargets
from edgesdk.train.losses import ClassLoss, CtcLoss, loss_for, squared_error
from edgesdk.train.measure import RightText, measure_for, right_class
from edgesdk.train.moment import Moment
from edgesdk_targets.card import CardFile, ModelCard, finish_card
from edgesdk_targets.errors import InputError

torch = pytest.importorskip("torch")


def moment(answer: Any, targets: Any) -> Moment:
    """Return a moment in which a model gives this answer."""
    pictures = torch.zeros(len(targets.lengths) if isinstance(targets, TextTargets) else len(targets), 1, 2, 2)

    class Answers(torch.nn.Module):
        def forward(self, images: Any) -> Any:
            return answer

    return Moment(Answers(), Batch(pictures, targets), 0, 0)


def a_card(task: str, folder: Path, labels: tuple[str, ...] = ("a", "b", "c")) -> CardFile:
    fields: dict[str, Any] = {"name": "m", "task": task, "labels": labels, "input": {"shape": [1, 1, 2, 2]}}
    return finish_card(
        ModelCard(
            **fields, preprocess={"color": "gray", "resize": "stretch", "size": (2, 2), "mean": (0,), "std": (255,)}
        ),
        folder,
    )


def test_the_classes_loss_is_the_same_whatever_the_model_gives() -> None:
    logits, truth = torch.randn(5, 3, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 2, 1, 1, 0])
    labels = ("a", "b", "c")
    wanted = torch.nn.functional.cross_entropy(logits, truth)
    assert torch.allclose(ClassLoss(labels)(moment(logits, truth)), wanted)
    assert torch.allclose(ClassLoss(labels, "none")(moment(logits.softmax(1), truth)), wanted)
    assert torch.allclose(ClassLoss(labels)(moment({"logits": logits, "other": truth}, truth)), wanted)
    shared = torch.nn.functional.one_hot(truth, 3).float()
    assert torch.allclose(ClassLoss(labels)(moment((logits, truth), shared)), wanted)
    assert torch.equal(right_class(moment(logits, truth)), right_class(moment(logits, shared)))
    with pytest.raises(InputError, match="the card has 2 labels"):
        ClassLoss(("a", "b"))(moment(logits, truth))


@pytest.mark.parametrize(("labels", "blank"), [("abc", 0), ("abc", 3), ("abc", 1), ("-abc", 0)], ids=str)
def test_ctc_numbers_symbols_around_the_blank(labels: str, blank: int) -> None:
    classes = [*labels] if len(labels) == 4 else [*labels[:blank], "-", *labels[blank:]]
    texts = ["cab", "aa"]
    symbols = torch.tensor([labels.index(c) for text in texts for c in text])
    targets = TextTargets(symbols, torch.tensor([3, 2]))
    written = ["c-abb-", "aa--a-"]
    sure = torch.full((2, 6, 4), -20.0)
    for row, text in enumerate(written):
        for step, character in enumerate(text):
            sure[row, step, classes.index(character)] = 20.0
    loss = CtcLoss(tuple(labels), blank)
    assert float(loss(moment(sure, targets))) < 1e-3
    assert RightText(tuple(labels), blank)(moment(sure, targets)).tolist() == [1.0, 1.0]
    # The same where the steps are the first axis, or where the model gives probabilities.
    assert float(loss(moment(sure.transpose(0, 1), targets))) < 1e-3
    assert float(CtcLoss(tuple(labels), blank, "none")(moment(sure.softmax(2), targets))) < 1e-3
    wrong = TextTargets(symbols.flip(0), torch.tensor([3, 2]))
    assert float(loss(moment(sure, wrong))) > 1
    assert RightText(tuple(labels), blank)(moment(sure, wrong)).sum() == 0


def test_a_text_that_is_too_long_is_refused() -> None:
    loss, scores = CtcLoss(("a",)), torch.zeros(1, 4, 2)
    # Two blanks have to part three equal symbols.
    with pytest.raises(InputError, match=r"The text 'aaa' of 3 characters needs 5 steps, and the model answers 4"):
        loss(moment(scores, TextTargets(torch.tensor([0, 0, 0]), torch.tensor([3]))))
    # Symbols that are equal and of two texts need no blank.
    two = TextTargets(torch.tensor([0, 1, 1, 0, 1, 0, 1]), torch.tensor([2, 5]))
    with pytest.raises(InputError, match=r"The text 'babab' of 5 characters needs 5 steps"):
        CtcLoss(("a", "b")).check_targets(scores, 1, two)
    CtcLoss(("a", "b")).check_targets(torch.zeros(1, 5, 3), 1, two)
    assert loss(moment(scores, TextTargets(torch.tensor([0, 0]), torch.tensor([2])))).isfinite()
    with pytest.raises(InputError, match="2 CTC classes"):
        CtcLoss(("a", "b", "c"))(moment(scores, TextTargets(torch.tensor([0]), torch.tensor([1]))))


def test_a_class_that_the_model_does_not_have_is_refused() -> None:
    for activation in ("softmax", "sigmoid"):
        loss, scores = ClassLoss((), activation), torch.zeros(2, 3)
        for truth in (torch.tensor([0, 3]), torch.full((2, 4), 0.25)):
            with pytest.raises(InputError, match="class number 3, and the model answers 3 classes"):
                loss(moment(scores, truth))
            with pytest.raises(InputError, match="class number 3"):
                loss.check_targets(scores, 2, truth)
        # Of classes that several share only the highest that occurs is known.
        shared = moment(scores, torch.tensor([[0.5, 0.5], [0.0, 1.0]]))
        assert loss(shared).isfinite()
        assert right_class(shared).tolist() == [1.0, 0.0]


def test_numbers() -> None:
    truth = torch.tensor([[1.0], [3.0]])
    assert float(squared_error(moment(torch.tensor([2.0, 3.0]), truth))) == 0.5
    with pytest.raises(InputError, match=r"answers \[2, 2\]"):
        squared_error(moment(torch.zeros(2, 2), truth))


def test_a_loss_of_ones_own_is_found_beside_the_card(tmp_path: Path) -> None:
    (tmp_path / "brought_loss.py").write_text("def loss(moment):\n    return moment.answer.mean()\n", "utf-8")
    card = a_card("detect", tmp_path)
    brought = loss_for(card, "brought_loss:loss")
    assert float(brought(moment(torch.full((2, 3), 4.0), torch.zeros(2)))) == 4.0
    assert measure_for(a_card("embed", tmp_path)) is None
    for name, said in (
        ("brought_loss:other", "cannot be imported"),
        ("no_such_module:loss", "brought|no_such"),
        ("x", "names no"),
    ):
        with pytest.raises(InputError, match=said):
            loss_for(card, name)
    with pytest.raises(InputError, match="no usual loss for the task 'detect'") as caught:
        loss_for(card)
    assert "--loss package.module:function" in caught.value.hint
    for task, name in (("classify", "accuracy"), ("text", "word_accuracy"), ("regress", "mse")):
        one = a_card(task, tmp_path)
        assert callable(loss_for(one))
        measure = measure_for(one)
        assert measure is not None
        assert measure.name == name
