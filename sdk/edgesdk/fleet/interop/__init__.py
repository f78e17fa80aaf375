"""What other systems are told in their own words."""
