"""What a release of the agent says of itself: for which Python and machine its wheels are, and what must import afterwards.

As of a bundle, the digest is the sha256 of the manifest's bytes, which hold the sha256 of every wheel.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgesdk_targets.bundle.manifest import BundleFile
from edgesdk_targets.card import NAME, VERSION
from edgesdk_targets.errors import BadBundle

# Of any version: what this edgesdk cannot read is refused as what it is.
AGENT_SCHEMA_NAME = "agentrelease/"
AGENT_NAME = "edgesdk-agent"
LOCK = "requirements.lock"
WHEELS = "wheels"
_WHEEL = re.compile(rf"{WHEELS}/[^/]+\.whl")
_Module = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$", max_length=100)]


class AgentManifest(BaseModel):
    """The whole file.

    Attributes:
        version: of the agent, as its own program says it.
        python: the interpreter's, such as `3.11`; arch: `x86_64` or `aarch64`; glibc: the oldest that all wheels load on.
        system_site_packages: the environment also sees the system's packages, such as TensorRT of a Jetson.
        modules: what must import.
        installed_bytes: what the wheels take when they are unpacked.
        files: the lock with hashes, and the wheels that it names.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_id: Literal["agentrelease/1"] = Field(default="agentrelease/1", alias="schema")
    name: str = Field(default=AGENT_NAME, pattern=NAME)
    version: str = Field(pattern=VERSION)
    python: str = Field(pattern=r"^3\.[0-9]{1,2}$")
    arch: str = Field(pattern=r"^[a-z0-9_]{2,32}$")
    glibc: str = Field(pattern=r"^2\.[0-9]{1,3}$")
    system_site_packages: bool = False
    modules: Annotated[tuple[_Module, ...], Field(min_length=1, max_length=64)]
    installed_bytes: int = Field(ge=0, le=1 << 40)
    files: dict[str, BundleFile]

    @model_validator(mode="after")
    def _holds_wheels_alone(self) -> AgentManifest:
        others = [name for name in self.files if not _WHEEL.fullmatch(name)]
        if others != [LOCK] or len(self.files) < 2:
            raise ValueError(f"it must hold {LOCK} and wheels, and nothing else")
        return self

    def to_bytes(self) -> bytes:
        """Serialise canonically, as a bundle's manifest."""
        data = self.model_dump(mode="json", by_alias=True)
        return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> AgentManifest:
        """Read a manifest.

        Raises:
            BadBundle: it is none, or of a version that this edgesdk does not read.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise BadBundle(
                f"The manifest of the agent's release: {where or 'JSON'}: {first['msg']}.", hint="Make it again."
            ) from error
