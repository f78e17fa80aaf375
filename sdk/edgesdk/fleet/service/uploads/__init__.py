"""Clips and pictures that devices send by the tus protocol: taken in pieces, stored when they are whole."""
