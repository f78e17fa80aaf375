"""The loop: it learns, repeats itself, goes on after a kill, and stops with a word."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgesdk.train.batch import Batch
from edgesdk.train.examples import Examples
from edgesdk.train.losses import ClassLoss
from edgesdk.train.measure import Measure, right_class
from edgesdk.train.moment import EpochRecord, Hook, Moment
from edgesdk.train.plan import Augment, Plan
from edgesdk.train.trouble import LossNotFinite
from edgesdk_targets.errors import InputError
from edgesdk_testkit.tiny_training import SPEC, Blobs, blobs, small_model

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from edgesdk.train.fit import Fitted, fit  # noqa: E402
from edgesdk.train.rehearsal import rehearse  # noqa: E402

ACCURACY = Measure("accuracy", higher_is_better=True, each=right_class)
LOSS = ClassLoss(("0", "1", "2"))
PLAN = Plan(epochs=6, batch=32, learning_rate=0.02, augment=Augment(noise=0.05, shift=0.05), device="cpu", seed=4)
# Trains as the tests do, and gets a signal in the midst of an epoch. A program of its own: a signal is the whole process's.
STRUCK = """
import os, signal, sys
from edgesdk.train.fit import fit
from edgesdk.train.losses import ClassLoss
from edgesdk.train.measure import Measure, right_class
from edgesdk.train.moment import Hook
from edgesdk.train.plan import Plan
from edgesdk.train.progress import TrainingStopped
from edgesdk_testkit.tiny_training import blobs, small_model

folder, plan, number, at = sys.argv[1], Plan.model_validate_json(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])

class Strike(Hook):
    def after_step(self, model, step):
        if step == at:
            os.kill(os.getpid(), number)

try:
    fit(
        small_model(), ClassLoss(("0", "1", "2")), blobs(), plan, folder=folder, hooks=[Strike()], progress=print,
        measure=Measure("accuracy", higher_is_better=True, each=right_class),
    )
except TrainingStopped as stopped:
    print("epochs", stopped.epochs, signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


def struck(folder: Path, number: signal.Signals, at: int) -> subprocess.CompletedProcess[str]:
    """Run the program, and send it a signal after so many steps."""
    command = [sys.executable, "-c", STRUCK, str(folder), PLAN.model_dump_json(), str(int(number)), str(at)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def train(
    folder: Path, plan: Plan = PLAN, model: Any = None, examples: Examples | None = None, **more: Any
) -> tuple[Any, Fitted]:
    model = small_model() if model is None else model
    given = {"measure": ACCURACY, "folder": folder, **more}
    return model, fit(model, LOSS, examples or blobs(), plan, **given)


def weights(model: Any) -> dict[str, Any]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(one: Any, other: Any) -> bool:
    ours, theirs = weights(one), weights(other)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Fitted]:
    return train(tmp_path_factory.mktemp("unbroken"))


def test_it_learns_and_says_so(tmp_path: Path) -> None:
    lines: list[str] = []
    random = torch.get_rng_state()
    handler, strict = signal.getsignal(signal.SIGINT), torch.are_deterministic_algorithms_enabled()
    model, fitted = train(tmp_path / "new/folder", progress=lines.append)
    assert fitted.best > 0.9
    assert (fitted.epochs, fitted.steps, fitted.ended) == (6, 18, "all 6 epochs are done")
    assert fitted.history[-1].loss < fitted.history[0].loss / 2
    assert len(lines) == 6
    assert re.match(r"epoch 6/6: loss .*; accuracy .* \(best .* in epoch \d\); ", lines[-1])
    assert not any(module.training for module in model.modules())
    assert json.loads(json.dumps(fitted.to_json()))["best"] == fitted.best
    # The weights on the disk are those of the model, and of the best epoch.
    from safetensors.torch import load_file

    kept = load_file(fitted.weights)
    assert all(torch.equal(kept[name], value) for name, value in model.state_dict().items())
    with torch.no_grad():
        (whole,) = blobs().validation.batches([range(48)])
        assert float(right_class(Moment(model, whole, 0, 0)).mean()) == pytest.approx(fitted.best)
    # Nothing is left changed.
    assert torch.equal(random, torch.get_rng_state())
    assert signal.getsignal(signal.SIGINT) is handler
    assert torch.are_deterministic_algorithms_enabled() is strict
    assert {path.name for path in (tmp_path / "new/folder").iterdir()} == {"last.ckpt", "best.safetensors"}


def test_the_same_seed_gives_the_same_weights(tmp_path: Path, unbroken: tuple[Any, Fitted]) -> None:
    model, _ = train(tmp_path / "again")
    assert same(model, unbroken[0])
    other, _ = train(tmp_path / "other", PLAN.model_copy(update={"seed": 5}))
    assert not same(other, unbroken[0])


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path: Path, unbroken: tuple[Any, Fitted]) -> None:
    done = struck(tmp_path, signal.SIGKILL, 10)
    assert done.returncode == -signal.SIGKILL, done.stderr
    lines: list[str] = []
    model, fitted = train(tmp_path, progress=lines.append)
    assert lines[0] == "goes on after epoch 3 of 6"
    assert len(lines) == 4
    assert same(model, unbroken[0])
    assert (fitted.epochs, fitted.steps) == (6, 18)
    # Once it is finished it is not trained again.
    again, repeated = train(tmp_path, progress=lines.append)
    assert repeated.history == fitted.history
    assert (fitted.earlier, repeated.earlier) == (3, 6)
    assert lines[-1] == "was finished: all 6 epochs are done"
    assert same(again, unbroken[0])


def test_ctrl_c_keeps_what_was_done(tmp_path: Path, unbroken: tuple[Any, Fitted]) -> None:
    done = struck(tmp_path, signal.SIGINT, 7)
    assert done.returncode == 0, done.stderr
    *_, said, told = done.stdout.splitlines()
    assert re.match(r"stopped in epoch 3; 2 are kept in .*: a call that resumes goes on from there", said)
    # The one who catches it learns what is kept, and Ctrl-C means what it meant before.
    assert told == "epochs 2 True"
    model, _ = train(tmp_path)
    assert same(model, unbroken[0])


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    short = PLAN.model_copy(update={"epochs": 1})
    train(tmp_path, short)
    kept = (tmp_path / "last.ckpt").read_bytes()
    with pytest.raises(InputError, match="checkpoint of another training, with other plan"):
        train(tmp_path)
    changed: dict[str, dict[str, Any]] = {
        "start weights": {"model": small_model(seed=8)},
        "loss": {"measure": None},
        "loss, preprocessing": {
            "measure": None,
            "examples": replace(blobs(), preprocess=SPEC.model_copy(update={"std": (1.0,)})),
        },
        "pictures to judge by": {"examples": replace(blobs(), validation=Blobs(47, 2))},
    }
    for named, given in changed.items():
        with pytest.raises(InputError, match=f"with other {named}\\."):
            train(tmp_path, short, **given)
    assert (tmp_path / "last.ckpt").read_bytes() == kept
    # Where it ends may change.
    train(tmp_path, short.model_copy(update={"patience": 3, "minutes": 9.0}))
    (tmp_path / "last.ckpt").write_bytes(kept[:100])
    with pytest.raises(InputError, match="cannot be read"):
        train(tmp_path, short)
    train(tmp_path, short, resume=False)


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, ...]]:
            return os.mkdir, (str(tmp_path / "made"),)

    torch.save({"version": 1, "history": Evil()}, tmp_path / "last.ckpt")
    with pytest.raises(InputError, match="cannot be read"):
        train(tmp_path)
    assert not (tmp_path / "made").exists()


def test_it_stops_early(tmp_path: Path) -> None:
    plan = Plan(epochs=50, batch=32, learning_rate=0.02, patience=2, schedule="constant", device="cpu")
    model, fitted = train(tmp_path, plan)
    assert fitted.ended == "no better for 2 epochs"
    assert fitted.epochs == fitted.best_epoch + 3 < 50
    # Resumed, it is still at its end.
    again, repeated = train(tmp_path, plan)
    assert repeated.epochs == fitted.epochs
    assert same(again, model)
    _, timed = train(tmp_path / "timed", Plan(epochs=50, batch=32, minutes=1e-6, device="cpu"))
    assert (timed.epochs, timed.ended) == (1, "the 1e-06 minutes are over")


class Poisoned:
    """Pictures of which one is no picture."""

    def __init__(self, at: int) -> None:
        self._set, self._at = blobs().train, at

    def __len__(self) -> int:
        return len(self._set)

    def batches(self, wanted: Any) -> Any:
        for numbers in wanted:
            (batch,) = self._set.batches([numbers])
            if self._at in list(numbers):
                batch.images[list(numbers).index(self._at)] = float("nan")
            yield Batch(batch.images, batch.targets)


class Root(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shift = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: Any) -> Any:
        return (x - x.amax() - 1 + self.shift).sqrt() if self.training else x


def test_a_loss_that_is_no_number_says_where_it_comes_from(tmp_path: Path) -> None:
    plain = PLAN.model_copy(update={"augment": Augment()})
    examples = blobs()
    poisoned = Examples(
        examples.task, examples.labels, Poisoned(60), examples.validation, examples.preprocess, examples.tensor
    )
    with pytest.raises(LossNotFinite, match=r"loss is nan at step \d \(epoch 1\): picture \d+ of the batch"):
        train(tmp_path / "a", plain, examples=poisoned)
    layers = torch.nn.Sequential(small_model(), Root(), torch.nn.Linear(3, 3))
    with pytest.raises(LossNotFinite, match=r"at step 0 \(epoch 1\): the layer '1' \(Root\) is the first"):
        train(tmp_path / "b", plain, model=layers)

    class Break(Hook):
        def after_step(self, model: Any, step: int) -> None:
            if step == 4:
                model[6].weight.data[0, 0] = float("inf")

    with pytest.raises(LossNotFinite, match=r"at step 5 \(epoch 2\): the weights of '6.weight'") as caught:
        train(tmp_path / "c", plain, hooks=[Break()])
    assert (caught.value.step, caught.value.code) == (5, "loss_not_finite")
    assert "learning rate" in caught.value.hint
    # The epoch before it is kept, and the training goes on without what broke it.
    lines: list[str] = []
    train(tmp_path / "c", plain, progress=lines.append)
    assert lines[0] == "goes on after epoch 1 of 6"

    def endless(moment: Moment) -> Any:
        return (moment.model[6].weight.abs().sum() * 0).sqrt()

    with pytest.raises(LossNotFinite, match=r"A gradient is not finite at step 0 .*'6.weight' is the first"):
        train(tmp_path / "d", plain, terms={"endless": endless})
    with pytest.raises(LossNotFinite, match="arises in the loss itself"):
        train(tmp_path / "e", plain, terms={"log": lambda moment: -moment.answer.square().sum().log() * float("inf")})


def test_what_does_not_fit_is_told_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the card has 2 labels"):
        fit(small_model(), ClassLoss(("0", "1")), blobs(), PLAN, folder=tmp_path)
    with pytest.raises(InputError, match=r"The loss fails on pictures of shape \[8, 1, 8, 8\]: RuntimeError"):
        train(tmp_path, model=torch.nn.Linear(5, 5))
    with pytest.raises(InputError, match=r"returns \[8\], and not one number"):
        fit(small_model(), lambda moment: moment.answer.sum(1), blobs(), PLAN, folder=tmp_path)
    with pytest.raises(InputError, match="does not depend on any weight"):
        fit(small_model(), lambda moment: LOSS(moment).detach(), blobs(), PLAN, folder=tmp_path)
    with pytest.raises(InputError, match=r"The term teacher fails on pictures of shape \[8, 1, 8, 8\]: RuntimeError"):
        train(tmp_path, terms={"teacher": lambda moment: (moment.answer - torch.zeros(1, 5)).square().mean()})
    frozen = small_model().requires_grad_(requires_grad=False)
    with pytest.raises(InputError, match="No weight of the model"):
        train(tmp_path, model=frozen)
    with pytest.raises(InputError, match="1 picture only to learn from"):
        train(tmp_path, examples=blobs(1))
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="no GPU"):
            train(tmp_path, PLAN.model_copy(update={"device": "cuda"}))
    assert not (tmp_path / "last.ckpt").exists()


def normed() -> Any:
    """A network whose norm has one value a picture: it refuses a batch of one."""
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3), torch.nn.BatchNorm1d(3))


def test_a_norm_is_given_no_picture_alone(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="The loss fails on pictures of shape") as refused:
        train(tmp_path, Plan(epochs=1, batch=1, device="cpu"), model=normed(), examples=blobs(3))
    assert "`batch` of at least 2" in refused.value.hint
    _, fitted = train(tmp_path, Plan(epochs=1, batch=2, device="cpu"), model=normed(), examples=blobs(3))
    assert fitted.steps == 1

    # A failure that only some batch brings is the loss's own, too.
    def late(moment: Moment) -> Any:
        assert moment.step < 1, "enough"
        return LOSS(moment)

    with pytest.raises(InputError, match=r"The loss fails on pictures of shape .*: AssertionError: enough"):
        fit(small_model(), late, blobs(), PLAN, folder=tmp_path / "late")


def test_the_rehearsal_leaves_no_trace() -> None:
    model = small_model()
    model[0].eval()
    before = weights(model)
    rehearse(model, LOSS, ACCURACY, {}, blobs(), 4)
    assert all(torch.equal(value, before[name]) for name, value in weights(model).items())
    assert [part.training for part in model] == [False] + [True] * 6
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_teacher_and_hooks_take_part(tmp_path: Path, unbroken: tuple[Any, Fitted]) -> None:
    """What compression needs: a distillation, a mask that holds through every step, and layers that stay as they are."""
    teacher, _ = unbroken
    before = weights(teacher)

    def like_the_teacher(moment: Moment) -> Any:
        with torch.no_grad():
            wanted = teacher(moment.images).softmax(1)
        return torch.nn.functional.cross_entropy(moment.answer, wanted)

    class Mask(Hook):
        def __init__(self) -> None:
            self.epochs: list[int] = []
            self.records: list[EpochRecord] = []

        def before_epoch(self, model: Any, epoch: int) -> None:
            self.epochs.append(epoch)

        def after_step(self, model: Any, step: int) -> None:
            model[6].weight.data[:, ::2] = 0

        def after_epoch(self, model: Any, record: EpochRecord) -> None:
            self.records.append(record)

    student, mask = small_model(seed=11), Mask()
    student[0].requires_grad_(requires_grad=False)
    kernel = student[0].weight.clone()
    plan = PLAN.model_copy(update={"epochs": 3})
    _, fitted = train(tmp_path, plan, model=student, terms={"teacher": like_the_teacher}, hooks=[mask])
    assert (student[6].weight[:, ::2] == 0).all()
    assert (student[6].weight[:, 1::2] != 0).any()
    assert torch.equal(student[0].weight, kernel)
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert mask.epochs == [0, 1, 2]
    assert tuple(mask.records) == fitted.history
    assert all(0 < record.terms["teacher"] < record.loss for record in fitted.history)


def test_what_a_hook_raises_ends_the_training_and_nothing_is_lost(tmp_path: Path) -> None:
    class Prune(Hook):
        def after_epoch(self, model: Any, record: EpochRecord) -> None:
            if record.epoch == 1:
                raise LookupError("not promising")

    with pytest.raises(LookupError, match="not promising"):
        train(tmp_path, hooks=[Prune()])
    _, fitted = train(tmp_path)
    assert [record.epoch for record in fitted.history] == list(range(6))
