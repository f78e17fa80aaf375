"""The parts of `python benchmarks/camera_faults.py`: each breaks a real RTSP camera in one way, and has a control."""
