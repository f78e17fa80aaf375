"""Roll-outs within the service: what drives them, what tells devices, and where these fetch their bundles."""
