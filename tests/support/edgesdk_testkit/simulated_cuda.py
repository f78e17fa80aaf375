"""A simulation of CUDA, for machines without a GPU.

It keeps CUDA's contract where a session could break it: device memory is apart from the host's unless it is mapped,
copies stay within what was allocated, and work runs only when its own stream is waited for, by the thread that waits.
TensorRT's execution on it: `simulated_tensorrt`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from edgesdk_targets.tensor import Array, TensorSpec

OK, INVALID, NO_MEMORY = 0, 1, 2


class SimulatedCuda:
    """Stands for `libcudart` and `libcuda`.

    Attributes:
        live: what is allocated: address → size.
        copied: bytes copied between the memories.
        computes: whether engines do their arithmetic; without it a run costs no memory of its own.
    """

    def __init__(self, *, gpus: int = 1, shares_memory: bool = False, memory_bytes: int = 1 << 24) -> None:
        self._gpus = gpus
        self._shares = shares_memory
        self._left = memory_bytes
        self._buffers: dict[int, Any] = {}
        self._queues: dict[int, list[Callable[[], None]]] = {}
        self.copied = 0
        self.computes = True
        self.cudaGetErrorString = _ErrorString()

    @property
    def live(self) -> dict[int, int]:
        return {address: len(buffer) for address, buffer in self._buffers.items()}

    def memory(self, address: int, spec: TensorSpec) -> Array:
        """Return the GPU's view of a tensor; only allocated memory may be looked at."""
        assert self._holds(address, spec.size_bytes), f"{spec.name}: not this GPU's memory"
        data = (ctypes.c_uint8 * spec.size_bytes).from_address(address)
        return np.frombuffer(data, spec.numpy_dtype).reshape(spec.shape)

    def enqueue(self, work: Callable[[], None], stream: int) -> None:
        self._queues[stream].append(work)

    def _holds(self, address: int, size: int) -> bool:
        return any(start <= address and address + size <= start + len(b) for start, b in self._buffers.items())

    def _allocate(self, pointer: Any, size: int) -> int:
        if size > self._left:
            return NO_MEMORY
        buffer = (ctypes.c_uint8 * size)()
        address = ctypes.addressof(buffer)
        self._buffers[address] = buffer
        self._left -= size
        pointer._obj.value = address
        return OK

    def _free(self, pointer: Any) -> int:
        buffer = self._buffers.pop(pointer.value, None)
        self._left += 0 if buffer is None else len(buffer)
        return INVALID if buffer is None else OK

    def cudaGetDeviceCount(self, count: Any) -> int:
        count._obj.value = self._gpus
        return OK

    def cudaDriverGetVersion(self, version: Any) -> int:
        version._obj.value = 12060
        return OK

    def cudaDeviceGetAttribute(self, value: Any, attribute: Any, device: Any) -> int:
        value._obj.value = {75: 8, 76: 7, 18: int(self._shares)}[attribute.value]
        return OK

    def cuInit(self, flags: int) -> int:
        return OK

    def cuDeviceGetName(self, name: Any, size: Any, device: Any) -> int:
        name.value = b"Simulated"
        return OK

    def cudaStreamCreate(self, stream: Any) -> int:
        number = 77 + len(self._queues)
        self._queues[number] = []
        stream._obj.value = number
        return OK

    def cudaStreamSynchronize(self, stream: Any) -> int:
        queue = self._queues[stream.value]
        self._queues[stream.value] = []
        for work in queue:
            work()
        return OK

    def cudaHostAlloc(self, pointer: Any, size: Any, flags: Any) -> int:
        assert flags.value == 2, "host memory must be mapped"
        return self._allocate(pointer, size.value)

    def cudaHostGetDevicePointer(self, device: Any, host: Any, flags: Any) -> int:
        device._obj.value = host.value
        return OK if self._shares else INVALID

    def cudaMalloc(self, pointer: Any, size: Any) -> int:
        return self._allocate(pointer, size.value)

    def cudaFree(self, pointer: Any) -> int:
        return self._free(pointer)

    def cudaFreeHost(self, pointer: Any) -> int:
        return self._free(pointer)

    def cudaMemcpyAsync(self, target: Any, source: Any, size: Any, kind: Any, stream: Any) -> int:
        if not (self._holds(target.value, size.value) and self._holds(source.value, size.value)):
            return INVALID
        self.copied += size.value
        self.enqueue(lambda: ctypes.memmove(target.value, source.value, size.value) and None, stream.value)
        return OK


class _ErrorString:
    """A C function that gives text; its result type is set as on a real one."""

    restype: Any = None

    def __call__(self, status: int) -> bytes:
        return {INVALID: b"invalid argument", NO_MEMORY: b"out of memory"}[status]
