"""What rules do with a frame; one file a rule. What they are asked for is in `rule_settings`."""
