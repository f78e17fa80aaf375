"""What a target is: a named device, what runs on it, and what is known about it.

A target is data (YAML in `profiles/`, or a user's own file); nothing here looks at the machine it runs on.
The order of `runtimes` is the chain of preference: a converter takes the first for which it finds a way, a device
the first that works on it.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated

from pydantic import ByteSize, ConfigDict, Field, StringConstraints, field_validator, model_validator

from edgesdk_targets.late_model import LateModel

NAME_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"
VERSION_PATTERN = r"^[0-9]+(\.[0-9]+)+$"

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=64)]
Version = Annotated[str, StringConstraints(pattern=VERSION_PATTERN)]


class Runtime(str, Enum):
    """A library that executes a model."""

    ONNXRUNTIME = "onnxruntime"
    OPENVINO = "openvino"
    LITERT = "litert"
    TENSORRT = "tensorrt"

    def __str__(self) -> str:
        return self.value


class Precision(str, Enum):
    """In which numbers a variant stores and computes; `mixed` keeps sensitive layers in float."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"
    MIXED = "mixed"

    def __str__(self) -> str:
        return self.value


class Status(str, Enum):
    """How far a claim about a target was tried out; never claim more than this."""

    MEASURED = "measured"  # on that hardware
    EMULATED = "emulated"  # the target's own builds under an emulator: numerics real, speed unknown
    SIMULATED = "simulated"  # the same runtime on another machine
    BUILT_ONLY = "built only"

    def __str__(self) -> str:
        return self.value


class _Frozen(LateModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Cpu(_Frozen):
    """The processor: model, number of cores, highest clock, and the features that matter to inference."""

    model: str
    cores: int | None = Field(default=None, ge=1)
    max_mhz: int | None = Field(default=None, ge=1)
    features: tuple[str, ...] = ()


class Gpu(_Frozen):
    """The graphics processor and the CUDA compute capability that engines are built for."""

    model: str
    cuda_cores: int | None = Field(default=None, ge=1)
    compute_capability: Version | None = None


class Platform(_Frozen):
    """One operating system that runs on the target, with what it brings along.

    Attributes:
        id: the qualifier that chooses it, as in `rpi5@trixie`.
        python: the version of the system's Python.
        glibc: the C library's version; a wheel that asks for a newer one does not load.
        tensorrt: version of the TensorRT that comes with the system, where one does.
        cuda: version of its CUDA.
    """

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([.-][a-z0-9]+)*$")]
    name: str
    python: Version
    glibc: Version
    tensorrt: Version | None = None
    cuda: Version | None = None


class Target(_Frozen):
    """A named device.

    Attributes:
        name: canonical name, lower case with hyphens.
        summary: one line for a list.
        aliases: other names that mean this target.
        arch: `aarch64`, `x86_64`, or `any`.
        runtimes: the chain of runtimes, best first.
        precisions: what each runtime of the chain can execute here.
        default_precision: what `convert` builds unless told otherwise; the chain's first runtime has it.
        memory_bytes: memory of the assumed model; None where the target is a family without one.
        memory_note: which models are sold, and which one is assumed.
        max_bundle_bytes: a larger bundle is refused for this target.
        camera: kind of the camera that is usual here: `csi`, `usb`, `rtsp` or `file`.
        video_decoders: codecs that the hardware decodes; others are decoded by the processor.
        video_note: how much of it, or what to beware of.
        builds_on_device: the final form (an engine) is built on the device, from the bundle.
        max_onnx_opset: newest ONNX opset that the platform's parser reads; None where it does not limit.
        platforms: operating systems, the assumed one first.
        system_site_packages: the device's virtual environment must see the system's Python packages.
        apt: packages of the operating system that the agent needs there.
        agent: the agent can run on it; False where a target can only be converted for.
        agent_note: why not, or under which condition.
        status: how far this target was tried out by the project.
        sources: documents from which the figures come.
    """

    name: Name
    summary: str = Field(min_length=1, max_length=120)
    aliases: tuple[Name, ...] = ()
    arch: str = Field(pattern=r"^(aarch64|x86_64|any)$")
    runtimes: tuple[Runtime, ...] = Field(min_length=1)
    precisions: dict[Runtime, tuple[Precision, ...]]
    default_precision: Precision
    memory_bytes: ByteSize | None = Field(default=None, gt=0)
    memory_note: str = ""
    max_bundle_bytes: ByteSize = Field(gt=0)
    cpu: Cpu
    gpu: Gpu | None = None
    camera: str = Field(default="usb", pattern=r"^(csi|usb|rtsp|file)$")
    video_decoders: tuple[str, ...] = ()
    video_note: str = ""
    builds_on_device: bool = False
    max_onnx_opset: int | None = Field(default=None, ge=7)
    platforms: tuple[Platform, ...] = Field(min_length=1)
    system_site_packages: bool = False
    apt: tuple[str, ...] = ()
    agent: bool = True
    agent_note: str = ""
    status: Status = Status.BUILT_ONLY
    sources: tuple[str, ...] = ()

    @property
    def platform(self) -> Platform:
        """The assumed operating system."""
        return self.platforms[0]

    @field_validator("runtimes", "aliases", "video_decoders")
    @classmethod
    def _no_repeats(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(values)) != len(values):
            raise ValueError("names something twice")
        return values

    @field_validator("platforms")
    @classmethod
    def _different_platforms(cls, platforms: tuple[Platform, ...]) -> tuple[Platform, ...]:
        if len({platform.id for platform in platforms}) != len(platforms):
            raise ValueError("two platforms have the same id")
        return platforms

    @model_validator(mode="after")
    def _precisions_fit(self) -> Target:
        if set(self.precisions) != set(self.runtimes):
            chain, given = (", ".join(sorted(map(str, names))) for names in (self.runtimes, self.precisions))
            raise ValueError(f"precisions are given for {given}, but the runtimes are {chain}")
        first = self.precisions[self.runtimes[0]]
        if self.default_precision not in first:
            raise ValueError(
                f"default_precision {self.default_precision} is not among those of {self.runtimes[0]}: "
                + ", ".join(map(str, first))
            )
        if not self.agent and not self.agent_note:
            raise ValueError("agent_note must say why the agent does not run here")
        return self

    def on_platform(self, platform_id: str) -> Target | None:
        """Return this target with the named platform assumed, or None where it has no such platform."""
        for platform in self.platforms:
            if platform.id == platform_id:
                others = tuple(other for other in self.platforms if other is not platform)
                return self.model_copy(update={"platforms": (platform, *others)})
        return None
