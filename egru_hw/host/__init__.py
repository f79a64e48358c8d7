"""The host's side: a device, and what connects it."""
