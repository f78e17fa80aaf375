"""The rule by which stretched pictures are told from those that were dear for another reason; clocks and prices are the test's."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from edgesdk_agent.cameras import conversion_price
from edgesdk_agent.cameras.conversion_price import ALONE, ASKING, ConversionPrice, DearRun

# What scaling costs at least, and often.
SCALED, DEARLY_SCALED = 4.6, 8.0


@dataclass
class Machine:
    """What things cost on it, seconds of processor time.

    Attributes:
        conversion_s: a conversion into memory that was written before.
        slower: how many times as long everything takes; busy_memory: how many times as long conversions take.
        noise: how many times as long this conversion takes.
        fps: of the camera; a picture is shown at each of its turns.
        now, wall: the processor's time and everybody's.
        conversions: how many were asked for beside the pictures' own.
    """

    conversion_s: float = 0.001
    slower: float = 1.0
    busy_memory: float = 1.0
    noise: Callable[[], float] = lambda: 1.0
    fps: float = 25.0
    now: float = 0.0
    wall: float = 0.0
    conversions: int = 0

    def cost_s(self) -> float:
        return self.slower * self.busy_memory * self.noise() * self.conversion_s

    def convert(self) -> None:
        self.conversions += 1
        self.now += self.cost_s()

    def calculate(self) -> None:
        self.now += self.slower * 0.0001

    def see(self, price: ConversionPrice, *, beside_s: float = 0.0) -> bool:
        """Show a picture that took `beside_s` longer than its conversion, as into fresh memory; say whether it is scaled."""
        self.wall += 1 / self.fps
        return price.is_dear(self.cost_s() + self.slower * beside_s, self.convert) and price.is_scaled(self.convert)

    def noticed_after_s(self, run: DearRun, seconds: float, each: Callable[[], None] = lambda: None) -> float | None:
        """Play video for so long; return after how much of it a run was told, None if never.

        Args:
            each: is called before each picture.
        """
        began = self.wall
        while self.wall - began < seconds:
            self.wall += 1 / self.fps
            each()
            if run.lasts(self.cost_s(), self.convert):
                return self.wall - began
        return None


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(conversion_price.time, "thread_time", lambda: made.now)
    monkeypatch.setattr(conversion_price, "_calculate", made.calculate)
    return made


def new_price(machine: Machine, dearer: float = ASKING) -> ConversionPrice:
    return ConversionPrice(dearer, clock=lambda: machine.wall)


def new_run(machine: Machine, dearer: float = ALONE) -> DearRun:
    return DearRun(new_price(machine, dearer), clock=lambda: machine.wall)


@pytest.fixture
def price(machine: Machine) -> ConversionPrice:
    learnt = new_price(machine)
    assert not any(machine.see(learnt) for _ in range(10))
    return learnt


@pytest.fixture
def run(machine: Machine) -> DearRun:
    learnt = new_run(machine)
    assert machine.noticed_after_s(learnt, 1.0) is None
    return learnt


class TestOnePicture:
    """The rule for films, whose packets are asked then."""

    def test_a_stretched_one_is_seen_at_once(self, machine: Machine, price: ConversionPrice) -> None:
        machine.conversion_s *= SCALED
        assert machine.see(price)

    def test_what_is_usual_costs_few_conversions(self, machine: Machine, price: ConversionPrice) -> None:
        before = machine.conversions
        assert not any(machine.see(price, beside_s=0.0005) for _ in range(1000))
        # What is usual is measured again.
        assert 0 < machine.conversions - before <= 20

    def test_fresh_memory_is_no_other_size_and_hides_none_for_long(
        self, machine: Machine, price: ConversionPrice
    ) -> None:
        before = machine.conversions
        assert not any(machine.see(price, beside_s=0.004) for _ in range(1000))
        assert machine.conversions - before <= 0.2 * 1000
        machine.conversion_s *= SCALED
        assert any(machine.see(price, beside_s=0.004) for _ in range(51))

    @pytest.mark.parametrize("factor", [1.0, SCALED])
    def test_a_processor_that_clocks_down_is_told_from_a_size(
        self, machine: Machine, price: ConversionPrice, factor: float
    ) -> None:
        machine.slower = 4.0
        machine.conversion_s *= factor
        assert machine.see(price) == (factor > 1)

    def test_a_dear_one_hides_no_change_after_it(self, machine: Machine, price: ConversionPrice) -> None:
        """The first one of a film that begins again is dear, as FFmpeg sets up its conversion."""
        assert not machine.see(price, beside_s=0.05)
        assert not machine.see(price)
        machine.conversion_s *= SCALED
        assert machine.see(price)

    def test_what_another_reason_made_dear_is_usual_once_it_is_learnt_anew(
        self, machine: Machine, price: ConversionPrice
    ) -> None:
        machine.busy_memory = 5.0
        assert machine.see(price)
        price.forget()
        assert not any(machine.see(price) for _ in range(100))


class TestRun:
    """The rule for cameras, which are opened again for it."""

    @pytest.mark.parametrize("fps", [10.0, 25.0, 60.0])
    def test_a_change_is_noticed_within_a_second_of_video(self, machine: Machine, fps: float) -> None:
        machine.fps = fps
        run = new_run(machine)
        assert machine.noticed_after_s(run, 20.0) is None
        machine.conversion_s *= SCALED
        after_s = machine.noticed_after_s(run, 5.0)
        assert after_s is not None
        assert 0.5 <= after_s <= 1.0

    def test_a_slow_camera_needs_several_pictures_too(self, machine: Machine, run: DearRun) -> None:
        machine.fps = 1.0
        machine.conversion_s *= SCALED
        assert machine.noticed_after_s(run, 30.0) == pytest.approx(6.0)

    def test_one_cheap_picture_begins_it_anew(self, machine: Machine, run: DearRun) -> None:
        usual, shown = machine.conversion_s, iter(range(10_000))

        def every_tenth_is_cheap() -> None:
            machine.conversion_s = usual * (1.0 if next(shown) % 10 == 0 else SCALED)

        assert machine.noticed_after_s(run, 60.0, every_tenth_is_cheap) is None

    @pytest.mark.parametrize("fps", [5.0, 25.0])
    @pytest.mark.parametrize("lasts", ["conversion", "picture"])
    @pytest.mark.parametrize("seed", [1, 2])
    def test_a_loaded_board_is_never_opened_again(self, machine: Machine, fps: float, lasts: str, seed: int) -> None:
        """Prices from once to four times at random, and every half minute ten slow seconds: of the clock, or of the memory."""
        chance, pictures = random.Random(seed), iter(range(1_000_000))
        machine.fps = fps
        run, single = new_run(machine), new_price(machine)
        assert machine.noticed_after_s(run, 1.0) is None
        dear = int(machine.see(single))

        def each() -> None:
            nonlocal dear
            phase, slow = divmod(machine.wall, 30.0)
            machine.slower = 3.0 if slow > 20 and phase % 2 else 1.0
            # Together with the noise it is below what scaling costs at least.
            machine.busy_memory = 2.0 if slow > 20 and not phase % 2 else 1.0
            top = 4.0 / machine.busy_memory
            if lasts == "picture":
                factor = chance.uniform(1.0, top)
                machine.noise = lambda: factor
            else:
                machine.noise = lambda: chance.uniform(1.0, top)
            next(pictures)
            before = machine.conversions
            dear += machine.see(single)
            machine.conversions, machine.wall = before, machine.wall - 1 / fps

        assert machine.noticed_after_s(run, 300.0, each) is None
        # The control: by single pictures it would have been.
        assert dear > 0 or lasts == "conversion"
        assert machine.conversions <= 0.2 * next(pictures) + 150 * 25 / fps

    def test_scattered_prices_cost_a_fifth_more_at_most(self, machine: Machine, run: DearRun) -> None:
        """As of a governor that goes between two clocks, or of memory that is now fresh and now used again."""
        before, shown = machine.conversions, iter(range(10_000))

        def every_other_is_dear() -> None:
            machine.conversion_s = 0.001 * (SCALED if next(shown) % 2 else 1.0)

        assert machine.noticed_after_s(run, 200.0, every_other_is_dear) is None
        pictures = next(shown)
        assert machine.conversions - before < 0.2 * pictures
        # It costs patience: what changes now is noticed when there is a look again.
        machine.conversion_s = 0.001 * SCALED
        after_s = machine.noticed_after_s(run, 10.0)
        assert after_s is not None
        assert after_s < 4.0

    @pytest.mark.parametrize(("seconds_between", "is_noticed"), [(0.0, False), (120.0, True)])
    def test_a_price_that_was_learnt_on_a_slow_clock_falls(
        self, machine: Machine, seconds_between: float, is_noticed: bool
    ) -> None:
        machine.slower = 2.5
        run = new_run(machine)
        assert machine.noticed_after_s(run, 1.0) is None
        machine.slower = 1.0
        assert machine.noticed_after_s(run, seconds_between) is None
        machine.conversion_s *= SCALED
        after_s = machine.noticed_after_s(run, 1.0)
        assert (after_s is not None) == is_noticed

    @pytest.mark.parametrize(("seconds_between", "is_alarm"), [(0.0, True), (300.0, False)])
    def test_a_price_that_was_learnt_before_the_model_ran_rises(
        self, machine: Machine, run: DearRun, seconds_between: float, is_alarm: bool
    ) -> None:
        machine.busy_memory = 2.0
        assert machine.noticed_after_s(run, seconds_between) is None
        machine.busy_memory = 4.0
        assert (machine.noticed_after_s(run, 10.0) is not None) == is_alarm

    @pytest.mark.parametrize(("factor", "is_noticed"), [(SCALED, False), (DEARLY_SCALED, True)])
    def test_twice_the_price_is_waited_for_after_a_false_alarm(
        self, machine: Machine, factor: float, is_noticed: bool
    ) -> None:
        run = new_run(machine, 2 * ALONE)
        assert machine.noticed_after_s(run, 1.0) is None
        machine.conversion_s *= factor
        assert (machine.noticed_after_s(run, 1.0) is not None) == is_noticed
