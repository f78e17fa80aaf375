"""The wall clock of one process and its children, moved while it runs; the monotonic one is left alone, as a time server does it.

A library of our own stands between the process and the C library, and adds seconds that a file tells. libfaketime would
too, but where it leaves the monotonic clock alone its `clock_nanosleep` calls every time invalid, and Python's `sleep` fails.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

_SECONDS = struct.Struct("=q")
_FILE = "EDGESDK_WALL_CLOCK"
_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t none = 0;
static const volatile int64_t *ahead = &none;
static int (*real_gettime)(clockid_t, struct timespec *);
static int (*real_timedwait)(sem_t *, const struct timespec *);

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("EDGESDK_WALL_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0) {
        void *seen = mmap(0, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
        if (seen != MAP_FAILED) ahead = seen;
        close(file);
    }
    real_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    real_timedwait = (int (*)(sem_t *, const struct timespec *))dlsym(RTLD_NEXT, "sem_timedwait");
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    if (!real_gettime) begin();
    int failed = real_gettime(clock, at);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) at->tv_sec += *ahead;
    return failed;
}

int gettimeofday(struct timeval *at, void *zone) {
    struct timespec now;
    (void)zone;
    int failed = clock_gettime(CLOCK_REALTIME, &now);
    if (!failed && at) { at->tv_sec = now.tv_sec; at->tv_usec = now.tv_nsec / 1000; }
    return failed;
}

time_t time(time_t *at) {
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}

/* The kernel compares with its own clock. */
int sem_timedwait(sem_t *semaphore, const struct timespec *until) {
    if (!real_timedwait) begin();
    struct timespec own = *until;
    own.tv_sec -= *ahead;
    return real_timedwait(semaphore, &own);
}
"""


class WallClock:
    """Moves the wall clock of processes that are started with `environment`.

    Args:
        folder: the library and the file of seconds lie there.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "wall_clock"
        self._library = folder / "wall_clock.so"

    @staticmethod
    def missing() -> str:
        """Say why no clock can be moved here; empty where one can."""
        return "" if shutil.which("cc") else "there is no C compiler (cc) to build what moves the agent's clock"

    def build(self) -> str:
        """Build the library, and say what came in between; empty where it is there."""
        self.set_ahead(0)
        words = ["cc", "-shared", "-fPIC", "-O2", "-x", "c", "-", "-o", str(self._library), "-ldl"]
        done = subprocess.run(words, input=_SOURCE, capture_output=True, text=True, check=False, timeout=60)
        return f"cc: {done.stderr.strip()[-200:]}" if done.returncode else ""

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self._library), _FILE: str(self._file)}

    def set_ahead(self, seconds: int) -> None:
        """Let those processes' wall clocks be so far ahead of this machine's, from now on."""
        if not self._file.exists():
            self._file.write_bytes(_SECONDS.pack(seconds))
            return
        # In place: it is mapped.
        with self._file.open("r+b") as file:
            file.write(_SECONDS.pack(seconds))
