"""The forms of labelled pictures, one file each."""
