"""Many devices in one process that speak as real ones do: for tests, for a look at the dashboard, and for sizing."""
