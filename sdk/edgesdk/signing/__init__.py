"""Sign bundles on one machine with one key: the private key, the folder of keys, and the signature put into a bundle."""
