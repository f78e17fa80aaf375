"""What is known of updates on this device, in a file that is written whole: `update.json`."""

from __future__ import annotations

import logging
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from edgesdk_agent.shadow.plan import ShadowPlan, ShadowSummary
from edgesdk_agent.update.result_profile import Spread
from edgesdk_targets.agent_release.agent_release import Kind
from edgesdk_targets.card import NAME, VERSION
from edgesdk_targets.messages.envelope import Count
from edgesdk_targets.whole_file import OWNER_ONLY, write_whole

log = logging.getLogger(__name__)

RECORD = "update.json"
_LARGEST_BYTES = 1 << 20
MOST_FAILED = 64
_Why = Annotated[str, Field(max_length=1024)]


def _known_of_plan(raw: object) -> object:
    """Leave out what a newer agent asks of a shadow run: after the way back an older one reads the same record."""
    known = ShadowPlan.model_fields
    return {name: value for name, value in raw.items() if name in known} if isinstance(raw, dict) else raw


class Step(str, Enum):
    """Where an update is. The last two and the first are at rest: another update may begin."""

    IDLE = "idle"
    DOWNLOADING = "downloading"
    VERIFIED = "verified"
    STAGED = "staged"
    TRIAL = "trial"
    CONFIRMED = "confirmed"
    ROLLED_BACK = "rolled back"

    @property
    def at_rest(self) -> bool:
        return self in {Step.IDLE, Step.CONFIRMED, Step.ROLLED_BACK}


class Release(BaseModel):
    """A bundle, or a release of the agent's own program, that is to run.

    Attributes:
        id: its digest, so that it is another one as soon as its content is.
        number: grows with every release of its kind; signed with it.
        size: of its file, in bytes.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    name: str = Field(pattern=NAME)
    version: str = Field(pattern=VERSION)
    number: int = Field(ge=0, lt=1 << 53)
    size: int = Field(gt=0, le=1 << 40)
    kind: Kind = "bundle"

    @property
    def hex(self) -> str:
        return self.id.partition(":")[2]


class Failure(BaseModel):
    """A release that failed here."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    step: Step
    why: _Why


class Deadline(BaseModel):
    """Until when a step must be over, by a clock that knows no date.

    Attributes:
        boot: the system's run that it is counted in; until_s: of that run's clock.
        lasts_s: the whole time, which begins anew in another run; boots: how often it did.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    boot: str = Field(max_length=64)
    until_s: float
    lasts_s: float
    boots: Count = 0


class UpdateRecord(BaseModel):
    """The whole file.

    Attributes:
        release, slot: of the update that goes on, or of the last one.
        address: where the release is fetched.
        after: the launcher's last order before the update; what it says of a trial from before then is another trial's.
        before_p95_ms: by camera, how old results were before the trial; before_results: and what they said.
        shadow: the shadow run that comes before the trial; shadowed: and what it said.
        waited: what the trial waited for, when it last looked.
        confirmed: what the active slot holds and proved; previous: what was there before.
        floor: the highest number of a bundle that was confirmed here; nothing below it is taken. agent_floor: of the agent.
        back: the update returns to `previous`, which is the one way below the floor.
        untried: what runs was staged and never tried: the disk lost what ran.
        failed: the newest last.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_id: Literal["update/1"] = Field(default="update/1", alias="schema")
    step: Step = Step.IDLE
    release: Release | None = None
    slot: Literal["a", "b", ""] = ""
    address: Annotated[str, Field(max_length=4096)] = ""
    after: Count = 0
    before_p95_ms: dict[str, float] = Field(default_factory=dict)
    before_results: dict[str, dict[str, Spread]] = Field(default_factory=dict)
    shadow: Annotated[ShadowPlan | None, BeforeValidator(_known_of_plan)] = None
    shadowed: ShadowSummary | None = None
    waited: _Why = ""
    deadline: Deadline | None = None
    why: _Why = ""
    back: bool = False
    floor: Count = 0
    agent_floor: Count = 0
    confirmed: Release | None = None
    previous: Release | None = None
    untried: bool = False
    failed: Annotated[tuple[Failure, ...], Field(max_length=MOST_FAILED)] = ()

    def but(self, **changes: object) -> UpdateRecord:
        """Return it with some fields changed."""
        return self.model_copy(update=changes)

    def floor_of(self, kind: Kind) -> int:
        return self.floor if kind == "bundle" else self.agent_floor

    def failure_of(self, release_id: str) -> Failure | None:
        return next((one for one in self.failed if one.id == release_id), None)


class RecordFile:
    """The record and its file; used by one thread."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / RECORD
        self.now, self.damage = _read(self._path)

    def write(self, record: UpdateRecord) -> None:
        """Make this the record; when it returns, no crash takes it back.

        Raises:
            NoSpace, InputError: the disk does not take it; the old one stays.
        """
        if record == self.now:
            return
        write_whole(self._path, record.model_dump_json(by_alias=True).encode(), OWNER_ONLY)
        self.now = record


def _read(path: Path) -> tuple[UpdateRecord, str]:
    """Return the record, and what is wrong with its file. A lost one loses no safety: the slots tell what was confirmed."""
    try:
        with path.open("rb") as stream:
            return UpdateRecord.model_validate_json(stream.read(_LARGEST_BYTES + 1)), ""
    except FileNotFoundError:
        return UpdateRecord(), ""
    except (OSError, ValidationError) as error:
        log.warning("%s cannot be read and is begun anew: %s", path, type(error).__name__)
        return UpdateRecord(), f"{path} cannot be read; which releases failed here is forgotten."
