"""A board's own programs on this x86 machine, under qemu-user: its numbers are real, its speed is not."""
