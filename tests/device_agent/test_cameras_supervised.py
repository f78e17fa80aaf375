from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable

import pytest
from camera_contract import CameraContract

from edgesdk_agent.cameras.camera import Camera, CameraInfo, FrameLost, SizeChanged
from edgesdk_agent.cameras.opencv_sources import open_stream
from edgesdk_agent.cameras.supervision.limits import SupervisionLimits
from edgesdk_agent.cameras.supervision.supervised import SupervisedCamera
from edgesdk_agent.cameras.synthetic import SyntheticCamera
from edgesdk_targets.errors import CameraLost
from edgesdk_targets.secret_url import SecretUrl
from edgesdk_targets.tensor import Array
from edgesdk_testkit.camera_pictures import grey
from edgesdk_testkit.mjpeg_server import MjpegServer


def stream(port: int, *, live: bool = True, login: str = "", open_timeout_s: float = 10.0) -> Camera:
    url = SecretUrl(f"http://{login}127.0.0.1:{port}/video.mjpg")
    return open_stream(url, live=live, open_timeout_s=open_timeout_s, read_timeout_s=5.0)


class Flaky:
    """A way to open synthetic cameras that get lost after a number of pictures."""

    def __init__(self, *lives: int | None) -> None:
        self.lives = list(lives)
        self.opened = 0

    def __call__(self, _silent_s: float = 0.0) -> Camera:
        life = self.lives[self.opened]
        self.opened += 1
        if life is None:
            raise CameraLost("Nothing answers.", hint="Plug it in.")
        return LosingCamera(life)


class LosingCamera(SyntheticCamera):
    def __init__(self, life: int) -> None:
        super().__init__(width=70, height=50)
        self._life = life

    def read(self, out: Array | None) -> Array | None:
        if not self._closed.is_set() and self._next == self._life:
            raise CameraLost("It stopped.")
        return super().read(out)


class Resizing(SyntheticCamera):
    """Is lost after its first picture."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__(width=width, height=height)

    def read(self, out: Array | None) -> Array | None:
        if self._next:
            raise CameraLost("It stopped.")
        return super().read(out)


class Suspected(SyntheticCamera):
    """Seems to have changed its size after its first picture."""

    def read(self, out: Array | None) -> Array | None:
        if self._next:
            raise SizeChanged("It seems to have changed.")
        return super().read(out)


class Closing(SyntheticCamera):
    """Says when it was closed."""

    def __init__(self) -> None:
        super().__init__(width=70, height=50)
        self.closed = threading.Event()

    def close(self) -> None:
        super().close()
        self.closed.set()


class TestSupervised(CameraContract):
    live, frames = False, None

    def make(self) -> Camera:
        return SupervisedCamera(lambda _: SyntheticCamera(width=70, height=50))

    def reads(self, camera: Camera, count: int) -> list[str]:
        def one() -> str:
            try:
                return "end" if camera.read(None) is None else "picture"
            except FrameLost as lost:
                return lost.cause

        return [one() for _ in range(count)]

    def test_a_lost_camera_is_opened_again_and_the_loss_is_one_gap(self) -> None:
        flaky, waits = Flaky(2, None, None, 3, None), []

        def wait(seconds: float) -> bool:
            waits.append(seconds)
            return False

        camera = SupervisedCamera(flaky, limits=SupervisionLimits(attempts=3), wait=wait)
        assert self.reads(camera, 6) == ["picture", "picture", "camera_lost", "picture", "picture", "picture"]
        assert camera.counts.reconnects == 1
        # Doubled each time, and by chance between half and all of it.
        for wait_s, longest in zip(waits, (0.5, 1.0, 2.0), strict=True):
            assert longest / 2 <= wait_s <= longest

    def test_a_camera_that_comes_back_with_another_size_is_counted_and_told(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        sizes = iter([(70, 50), (70, 50), (96, 64), (96, 64)])

        def opener(_silent_s: float) -> Camera:
            return Resizing(*next(sizes))

        camera = SupervisedCamera(opener, wait=lambda _: False)
        assert self.reads(camera, 7) == ["picture", "camera_lost"] * 3 + ["picture"]
        assert (camera.counts.reconnects, camera.counts.resized) == (3, 1)
        assert [one for one in caplog.messages if "changed from" in one] == [
            f"{camera.info.description} came back changed from 70x50 to 96x64"
        ]

    def test_a_false_alarm_of_its_size_costs_no_attempt_and_is_told(self, caplog: pytest.LogCaptureFixture) -> None:
        sizes = iter([(70, 50), (70, 50), (70, 50), (96, 64)])

        def opener(_silent_s: float) -> Camera:
            width, height = next(sizes)
            return Suspected(width=width, height=height)

        camera = SupervisedCamera(opener, limits=SupervisionLimits(attempts=0), wait=lambda _: False)
        assert self.reads(camera, 7) == ["picture", "camera_lost"] * 3 + ["picture"]
        assert (camera.counts.size_alarms, camera.counts.resized, camera.counts.stalls) == (2, 1, 0)
        assert sum("twice as dear" in message for message in caplog.messages) == 1
        assert sum("not watched any more" in message for message in caplog.messages) == 1

    def test_one_that_does_not_come_back_after_it_is_lost_as_any_other(self) -> None:
        lives: list[Camera | None] = [Suspected(width=70, height=50), None, None]

        def opener(_silent_s: float) -> Camera:
            life = lives.pop(0)
            if life is None:
                raise CameraLost("Nothing answers.")
            return life

        camera = SupervisedCamera(opener, limits=SupervisionLimits(attempts=1), wait=lambda _: False)
        assert camera.read(None) is not None
        with pytest.raises(CameraLost, match=r"Nothing answers\. It did not come back after 1 attempts"):
            camera.read(None)
        assert lives == []

    def test_what_a_failed_attempt_held_goes_with_it(self) -> None:
        """Sockets of a pipeline that did not start would stay open until Python looks for cycles, which may be hours."""
        flaky, held = Flaky(1, None, None, 3), []

        def opener(_silent_s: float) -> Camera:
            pipeline = threading.Event()
            held.append(weakref.ref(pipeline))
            return flaky()

        camera = SupervisedCamera(opener, wait=lambda _: False)
        gc.disable()
        try:
            assert self.reads(camera, 3) == ["picture", "camera_lost", "picture"]
            assert [one() for one in held] == [None] * 4
        finally:
            gc.enable()

    def test_the_budget_is_whole_again_after_a_picture_and_ends_without_one(self) -> None:
        flaky = Flaky(1, None, 1, None, 0, None, None)
        camera = SupervisedCamera(flaky, limits=SupervisionLimits(attempts=2, steady_after_s=0.0), wait=lambda _: False)
        assert self.reads(camera, 4) == ["picture", "camera_lost", "picture", "camera_lost"]
        # It answers, but delivers nothing: that does not renew the budget.
        with pytest.raises(CameraLost, match="did not come back after 2 attempts") as caught:
            camera.read(None)
        assert caught.value.hint == ""
        assert flaky.opened == 5

    def test_the_first_time_it_must_open(self) -> None:
        with pytest.raises(CameraLost, match="Nothing answers"):
            SupervisedCamera(Flaky(None))

    def test_one_that_need_not_open_is_opened_by_its_reads(self) -> None:
        flaky = Flaky(None, None, 3)
        camera = SupervisedCamera(flaky, wait=lambda _: False, must_open=False, description="gate")
        assert (flaky.opened, camera.absent, camera.state) == (0, None, "connecting")
        assert (camera.info.width, camera.info.height, camera.info.description) == (0, 0, "gate")
        assert self.reads(camera, 3) == ["camera_lost", "picture", "picture"]
        assert camera.absent is None
        assert camera.info.width == 70
        assert camera.counts.reconnects == 1

    def test_one_that_answers_at_once_costs_no_frame(self) -> None:
        camera = SupervisedCamera(Flaky(9), must_open=False, description="gate")
        told: list[str] = []
        camera.on_change = lambda health: told.append(health.state)
        assert self.reads(camera, 2) == ["picture", "picture"]
        assert (camera.counts.reconnects, told) == (0, ["online"])

    def test_one_that_was_tried_before_is_lost_until_its_reader_has_it(self) -> None:
        camera = SupervisedCamera(Flaky(None, 3), wait=lambda _: False, must_open=False)
        camera.open_now()
        assert camera.absent is not None
        assert camera.state == "offline"
        assert self.reads(camera, 2) == ["camera_lost", "picture"]

    def test_one_that_never_opens_is_given_up(self) -> None:
        camera = SupervisedCamera(
            Flaky(None, None, None), limits=SupervisionLimits(attempts=2), wait=lambda _: False, must_open=False
        )
        with pytest.raises(CameraLost, match="did not answer after 2 attempts"):
            camera.read(None)
        camera.close()

    def test_a_close_ends_the_wait(self) -> None:
        closing: list[Callable[[], None]] = []

        def wait(seconds: float) -> bool:
            closing[0]()
            return True

        camera = SupervisedCamera(Flaky(0, 1), wait=wait)
        closing.append(camera.close)
        assert camera.read(None) is None

    def test_a_close_ends_an_opening_that_hangs_and_what_opens_late_is_closed(self) -> None:
        opening, answers = threading.Event(), threading.Event()
        late = Closing()

        def opener(_: float) -> Camera:
            opening.set()
            answers.wait(30)
            return late

        camera = SupervisedCamera(opener, must_open=False)
        read: list[object] = ["not yet"]
        reader = threading.Thread(target=lambda: read.append(camera.read(None)))
        reader.start()
        assert opening.wait(30)
        camera.close()
        reader.join(30)
        assert read == ["not yet", None]
        assert not late.closed.is_set()
        answers.set()
        assert late.closed.wait(30)

    def test_a_real_stream_comes_back(self) -> None:
        with MjpegServer(grey) as first:
            camera = SupervisedCamera(
                lambda _: stream(first.port), limits=SupervisionLimits(attempts=50), wait=lambda _: False
            )
            assert camera.read(None) is not None
            first.stop()
        with MjpegServer(grey, port=first.port):
            answers: list[str] = []
            while answers.count("picture") < 5 or "camera_lost" not in answers:
                answers += self.reads(camera, 1)
        camera.close()
        assert answers.count("camera_lost") == 1


class Clock:
    """Time that passes by frames and waits only."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        return False


class TimedCamera:
    """A live camera of a rate, whose pictures are the same from one number on, and which is lost at another."""

    def __init__(self, clock: Clock, *, fps: float = 10.0, still_from: int = 1 << 30, lost_at: int = 1 << 30) -> None:
        self.info = CameraInfo(70, 50, None, True, "timed")
        self._clock, self._fps, self._still_from, self._lost_at = clock, fps, still_from, lost_at
        self._number = 0

    def read(self, out: Array | None) -> Array | None:
        self._clock.now += 1 / self._fps
        if self._number >= self._lost_at:
            raise CameraLost("It stopped.")
        self._number += 1
        return grey(min(self._number, self._still_from))

    def close(self) -> None:
        return


class TestHealth:
    def supervised(self, *lives: Camera | None, clock: Clock, **limits: float) -> tuple[SupervisedCamera, list[str]]:
        waiting = list(lives)

        def opener(_: float) -> Camera:
            life = waiting.pop(0)
            if life is None:
                raise CameraLost("Nothing answers.")
            return life

        held = SupervisionLimits(**{"keep_trying": True, **limits})  # type: ignore[arg-type]
        camera = SupervisedCamera(opener, limits=held, wait=clock.wait, clock=clock)
        told: list[str] = []
        camera.on_change = lambda health: told.append(f"{health.state} {health.cause}".strip())
        return camera, told

    def read(self, camera: SupervisedCamera, count: int) -> int:
        """Read, and return how many pictures came."""
        came = 0
        for _ in range(count):
            try:
                came += camera.read(None) is not None
            except FrameLost:
                continue
        return came

    def test_a_loss_is_degraded_then_offline_and_a_picture_is_online(self) -> None:
        clock = Clock()
        lives = (TimedCamera(clock, lost_at=5), None, None, None, None, TimedCamera(clock))
        camera, told = self.supervised(*lives, clock=clock, attempts=2)
        assert self.read(camera, 10) == 9
        assert told == ["degraded lost", "offline lost", "online"]
        assert (camera.counts.stalls, camera.counts.reconnects) == (1, 1)

    def test_offline_it_is_tried_seldom(self) -> None:
        clock = Clock()
        lives = (TimedCamera(clock, lost_at=1), *[None] * 12, TimedCamera(clock))
        camera, _ = self.supervised(*lives, clock=clock, attempts=2, offline_retry_s=60.0)
        self.read(camera, 3)
        # Two quick ones, and eleven of half a minute to a minute.
        assert 11 * 30 <= clock.now <= 11 * 60 + 5

    def test_a_frozen_picture_is_opened_again_once_and_told(self) -> None:
        clock = Clock()
        camera, told = self.supervised(TimedCamera(clock, still_from=50), TimedCamera(clock), clock=clock)
        self.read(camera, 900)
        assert told == ["degraded frozen", "online"]
        assert (camera.counts.frozen, camera.counts.reconnects, camera.counts.stalls) == (1, 1, 0)

    def test_without_the_rule_a_frozen_picture_is_not_found(self) -> None:
        clock = Clock()
        camera, told = self.supervised(TimedCamera(clock, still_from=50), clock=clock, frozen_after_s=0.0)
        assert self.read(camera, 6000) == 6000
        assert told == []

    def test_a_scene_that_stays_still_is_degraded_and_seldom_opened_again(self) -> None:
        clock = Clock()
        camera, told = self.supervised(*[TimedCamera(clock, still_from=0) for _ in range(9)], clock=clock)
        assert self.read(camera, 20_000) > 19_900
        assert told == ["degraded frozen"]
        # In 2000 seconds: after one minute, and then after 2, 4, 8 and 16.
        assert camera.counts.reconnects == 5
        assert camera.counts.frozen == 1

    def test_a_slow_camera_is_degraded_and_never_opened_again(self) -> None:
        clock = Clock()
        slowing = TimedCamera(clock, fps=10.0)
        camera, told = self.supervised(slowing, clock=clock)
        self.read(camera, 300)
        slowing._fps = 2.0
        self.read(camera, 60)
        assert told == ["degraded slow"]
        # It was set so, and is well at its new rate.
        self.read(camera, 200)
        assert told == ["degraded slow", "online"]
        assert (camera.counts.rate_changes, camera.counts.reconnects) == (1, 0)

    def test_a_live_stream_that_ends_is_lost(self) -> None:
        class Ending(TimedCamera):
            def read(self, out: Array | None) -> Array | None:
                return None if self._number == 3 else super().read(out)

        clock = Clock()
        camera, told = self.supervised(Ending(clock), TimedCamera(clock), clock=clock)
        assert self.read(camera, 6) == 5
        assert told == ["degraded lost", "online"]

    def test_one_that_is_silent_again_at_once_is_given_more_time(self) -> None:
        clock = Clock()
        given: list[float] = []

        class Silent(TimedCamera):
            """One frame in 20 s: less than five of its frames is 5 s, as nobody knows its rate."""

            def __init__(self, patience_s: float) -> None:
                super().__init__(clock, fps=1 / 20)
                self._patience_s = patience_s

            def read(self, out: Array | None) -> Array | None:
                if self._patience_s < 20:
                    clock.now += self._patience_s
                    raise CameraLost("Silent.")
                return super().read(out)

        def opener(silent_s: float) -> Camera:
            given.append(silent_s)
            return Silent(silent_s)

        limits = SupervisionLimits(keep_trying=True)
        camera = SupervisedCamera(opener, limits=limits, wait=clock.wait, clock=clock)
        assert self.read(camera, 10) == 8
        assert given == [5.0, 10.0, 20.0]

    def test_a_reader_that_hangs_is_told_by_others(self) -> None:
        clock = Clock()
        camera, _ = self.supervised(TimedCamera(clock), clock=clock)
        states: list[str] = []

        class Hanging(TimedCamera):
            def read(self, out: Array | None) -> Array | None:
                for _ in range(4):
                    states.append(f"{camera.health.state} {camera.health.cause}".strip())
                    clock.now += 15
                return super().read(out)

        camera._held.camera = Hanging(clock)
        camera.read(None)
        assert states == ["online", "online", "online", "offline hung"]
        assert camera.health.state == "online"
