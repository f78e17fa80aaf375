"""The rule by which a stretched picture is told from one that was dear for another reason; its clock is the test's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from edgesdk_agent.cameras import conversion_price
from edgesdk_agent.cameras.conversion_price import ConversionPrice


@dataclass
class Machine:
    """What things cost on it, seconds of processor time.

    Attributes:
        conversion_s: a conversion into memory that was written before.
        slower: how many times as long everything takes.
        conversions: how many were asked for beside the pictures' own.
    """

    conversion_s: float = 0.001
    slower: float = 1.0
    now: float = 0.0
    conversions: int = 0

    def convert(self) -> None:
        self.conversions += 1
        self.now += self.slower * self.conversion_s

    def calculate(self) -> None:
        self.now += self.slower * 0.0001

    def see(self, price: ConversionPrice, *, beside_s: float = 0.0) -> bool:
        """Show a picture that took `beside_s` longer than its conversion, as into fresh memory."""
        return price.is_scaled(self.slower * (self.conversion_s + beside_s), self.convert)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(conversion_price.time, "thread_time", lambda: made.now)
    monkeypatch.setattr(conversion_price, "_calculate", made.calculate)
    return made


@pytest.fixture
def price(machine: Machine) -> ConversionPrice:
    learnt = ConversionPrice()
    assert not any(machine.see(learnt) for _ in range(10))
    return learnt


def test_a_stretched_picture_is_seen_at_once(machine: Machine, price: ConversionPrice) -> None:
    machine.conversion_s *= 4.6
    assert machine.see(price)


def test_what_is_usual_costs_no_conversion_more(machine: Machine, price: ConversionPrice) -> None:
    before = machine.conversions
    assert not any(machine.see(price, beside_s=0.0005) for _ in range(1000))
    assert machine.conversions == before


def test_fresh_memory_is_no_other_size_and_hides_none(machine: Machine, price: ConversionPrice) -> None:
    before = machine.conversions
    assert not any(machine.see(price, beside_s=0.004) for _ in range(500))
    # It is looked into now and then only.
    assert machine.conversions - before < 500
    machine.conversion_s *= 4.6
    assert machine.see(price, beside_s=0.004)


@pytest.mark.parametrize("change", [lambda m: None, lambda m: setattr(m, "conversion_s", 4.6 * m.conversion_s)])
def test_a_processor_that_clocks_down_is_told_from_a_size(
    machine: Machine, price: ConversionPrice, change: Callable[[Machine], None]
) -> None:
    usual = machine.conversion_s
    machine.slower = 4.0
    change(machine)
    assert machine.see(price) == (machine.conversion_s != usual)


def test_a_dear_picture_hides_no_change_after_it(machine: Machine, price: ConversionPrice) -> None:
    """The first one of a film that begins again is dear, as FFmpeg sets up its conversion."""
    assert not machine.see(price, beside_s=0.05)
    assert not machine.see(price)
    machine.conversion_s *= 4.6
    assert machine.see(price)
