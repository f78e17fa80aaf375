"""Alerts: rules over what devices report, with hysteresis and silences, and notices of what began and what ended."""
