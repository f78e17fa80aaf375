"""Do less before the device does nothing: a declared ladder, walked down under strain and up again when it is over."""
