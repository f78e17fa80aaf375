"""The agent that runs on the device: camera → preprocess → infer → report."""
