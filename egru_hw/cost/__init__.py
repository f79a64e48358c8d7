"""Costs of a model on an accelerator, computed without simulating the hardware."""
