"""Which detections of one frame are the objects of the frames before; driven by time stamps, as frames drop."""
