"""How many devices one node holds, and what is lost when its parts die; run by `benchmarks/fleet_capacity.py`."""
