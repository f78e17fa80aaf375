"""Which frames are worth the model's time, and how small a picture can be: clean, de-duplicate, compress."""
