"""How a bundle is run best here: which variant, how many threads and streams, found by measuring on this device."""
