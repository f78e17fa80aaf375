"""What shows that something happened: snapshots, clips, and their way off the device."""
