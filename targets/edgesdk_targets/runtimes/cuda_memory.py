"""The little of CUDA that a session needs, through ctypes: memory, one stream, and what the GPU is.

Where processor and GPU share their memory (Jetson) an array is mapped into both, and nothing is copied. Elsewhere it
is page-locked memory with a twin on the GPU, and copies run on the session's stream.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesdk_targets.errors import SessionFailed
from edgesdk_targets.nvidia_driver import nvidia_driver
from edgesdk_targets.tensor import Array, TensorSpec

NAME = "CUDA"
_RUNTIME_LIBRARIES = ("libcudart.so", "libcudart.so.13", "libcudart.so.12", "/usr/local/cuda/lib64/libcudart.so")
_DRIVER_LIBRARIES = ("libcuda.so.1", "libcuda.so")
# Values of cudaDeviceAttr, cudaHostAlloc's flags and cudaMemcpyKind.
_COMPUTE_MAJOR, _COMPUTE_MINOR, _INTEGRATED = 75, 76, 18
_MAPPED = 2
_TO_DEVICE, _TO_HOST = 1, 2


@dataclass(frozen=True, slots=True)
class GpuFacts:
    """What an engine depends on, besides its source.

    Attributes:
        compute_capability: such as `8.7`.
        driver: its version, and its release where the system tells.
        shares_memory: processor and GPU have one memory (Jetson).
    """

    name: str
    compute_capability: str
    driver: str
    shares_memory: bool


def _load(names: tuple[str, ...], what: str) -> ctypes.CDLL:
    library = next((found for found in map(_open, names) if found is not None), None)
    if library is None:
        raise SessionFailed(
            f"{what} is not on this machine ({', '.join(names)}).",
            hint="Install NVIDIA's driver and CUDA runtime (on a Jetson: `apt install nvidia-jetpack`).",
        )
    return library


def _open(name: str) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(name)
    except OSError:
        return None


class Cuda:
    """The CUDA runtime of this process.

    Args:
        runtime, driver: loaded libraries; found by their usual names unless given.

    Raises:
        SessionFailed: a library is missing, or there is no GPU.
    """

    def __init__(self, runtime: Any = None, driver: Any = None) -> None:
        self._runtime: Any = runtime if runtime is not None else _load(_RUNTIME_LIBRARIES, "CUDA's runtime library")
        self._driver: Any = driver if driver is not None else _load(_DRIVER_LIBRARIES, "NVIDIA's driver")
        count = ctypes.c_int()
        self._call("cudaGetDeviceCount", ctypes.byref(count))
        if not count.value:
            raise SessionFailed("There is no NVIDIA GPU in this machine.", hint="Choose another variant (`--variant`).")
        self.gpu = self._facts()

    def _call(self, function: str, *arguments: Any) -> None:
        status = getattr(self._runtime, function)(*arguments)
        if status:
            describe = self._runtime.cudaGetErrorString
            describe.restype = ctypes.c_char_p
            why = (describe(status) or b"").decode(errors="replace")
            raise SessionFailed(
                f"{NAME}: {function} failed: {why} ({status}).", hint="Look at `dmesg` and at the GPU's free memory."
            )

    def _facts(self) -> GpuFacts:
        name = ctypes.create_string_buffer(256)
        self._driver.cuInit(0)
        self._driver.cuDeviceGetName(name, ctypes.c_int(len(name)), ctypes.c_int(0))
        version = ctypes.c_int()
        self._call("cudaDriverGetVersion", ctypes.byref(version))
        return GpuFacts(
            name=name.value.decode(errors="replace"),
            compute_capability=f"{self._attribute(_COMPUTE_MAJOR)}.{self._attribute(_COMPUTE_MINOR)}",
            driver=f"{version.value} {nvidia_driver()}".strip(),
            shares_memory=bool(self._attribute(_INTEGRATED)),
        )

    def _attribute(self, attribute: int) -> int:
        value = ctypes.c_int()
        self._call("cudaDeviceGetAttribute", ctypes.byref(value), ctypes.c_int(attribute), ctypes.c_int(0))
        return value.value

    def new_stream(self) -> int:
        """Create a stream; it lives as long as the process."""
        stream = ctypes.c_void_p()
        self._call("cudaStreamCreate", ctypes.byref(stream))
        return stream.value or 0

    def wait(self, stream: int) -> None:
        """Wait until all work of `stream` is done; other threads run meanwhile."""
        self._call("cudaStreamSynchronize", ctypes.c_void_p(stream))

    def allocate(self, spec: TensorSpec) -> CudaTensor:
        """Allocate a tensor that both the processor and the GPU see."""
        host, device = ctypes.c_void_p(), ctypes.c_void_p()
        size = ctypes.c_size_t(spec.size_bytes)
        self._call("cudaHostAlloc", ctypes.byref(host), size, ctypes.c_uint(_MAPPED))
        memory = _HostMemory(self._runtime, host, spec)
        if self.gpu.shares_memory:
            self._call("cudaHostGetDevicePointer", ctypes.byref(device), host, ctypes.c_uint(0))
            return CudaTensor(np.asarray(memory), host.value or 0, device.value or 0, None)
        self._call("cudaMalloc", ctypes.byref(device), size)
        return CudaTensor(np.asarray(memory), host.value or 0, device.value or 0, _DeviceMemory(self._runtime, device))

    def upload(self, tensor: CudaTensor, stream: int) -> None:
        """Bring what the processor wrote to the GPU; nothing to do where they share memory."""
        if tensor.twin is not None:
            self._copy(tensor.device, tensor.address, tensor.host.nbytes, _TO_DEVICE, stream)

    def download(self, tensor: CudaTensor, stream: int) -> None:
        """Bring what the GPU wrote to the processor."""
        if tensor.twin is not None:
            self._copy(tensor.address, tensor.device, tensor.host.nbytes, _TO_HOST, stream)

    def _copy(self, target: int, source: int, size: int, kind: int, stream: int) -> None:
        self._call(
            "cudaMemcpyAsync",
            ctypes.c_void_p(target),
            ctypes.c_void_p(source),
            ctypes.c_size_t(size),
            ctypes.c_int(kind),
            ctypes.c_void_p(stream),
        )


@dataclass(frozen=True, slots=True, eq=False)
class CudaTensor:
    """A tensor in both memories.

    Attributes:
        host: the processor's view, C-contiguous.
        address: where that is.
        device: its address on the GPU.
        twin: the GPU's own memory; None where the address leads to the host's.
    """

    host: Array
    address: int
    device: int
    twin: _DeviceMemory | None


class _HostMemory:
    """Page-locked memory, given back when the last array over it goes."""

    def __init__(self, runtime: Any, pointer: ctypes.c_void_p, spec: TensorSpec) -> None:
        self._runtime = runtime
        self._pointer = pointer
        self.__array_interface__ = {
            "data": (pointer.value, False),
            "shape": spec.shape,
            "typestr": spec.numpy_dtype.str,
            "version": 3,
        }

    def __del__(self) -> None:
        self._runtime.cudaFreeHost(self._pointer)


class _DeviceMemory:
    """The GPU's memory, given back when its tensor goes."""

    def __init__(self, runtime: Any, pointer: ctypes.c_void_p) -> None:
        self._runtime = runtime
        self._pointer = pointer

    def __del__(self) -> None:
        self._runtime.cudaFree(self._pointer)
