"""From a model's raw outputs to a `Result`: numpy alone, the same code on workstation and device."""
