"""Ways to simulate the accelerator."""
