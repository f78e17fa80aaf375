"""From a camera's picture to a model's input; the one implementation that host and device share."""
