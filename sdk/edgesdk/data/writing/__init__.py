"""Write a set, or a part of one, in the layout that it had; originals are not touched."""
