"""The serial line between host and accelerator: both ends."""
