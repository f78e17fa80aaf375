"""A child process that dies as a broken driver does: `python -m edgesdk_testkit.dying_child …` ends by SIGSEGV."""

import os
import signal

os.kill(os.getpid(), signal.SIGSEGV)
