"""The ground of edgesdk: what workstation, device and fleet agree on.

Targets, bundles, sessions, preprocessing, results and messages live here; nothing in this package imports
another package of edgesdk, a training framework or a converter.
"""

import os

# ONNX Runtime from 1.31 on reports its use to Microsoft over the network and leaves a device identifier in the cache
# folder. It reads this once, when it is imported; every part of edgesdk imports this package first, and child processes
# inherit it. Who wants the reports sets it to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
