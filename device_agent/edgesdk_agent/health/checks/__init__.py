"""One question a file: `check(facts, limits)` answers with findings, and touches nothing."""
