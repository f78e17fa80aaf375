"""A camera that is read and decoded in a process of its own, which can be killed when a decoder hangs or crashes."""
