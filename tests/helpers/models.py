"""Random integer models and inputs for tests."""

from sim.random_models import random_inputs, random_model

__all__ = ["random_inputs", "random_model"]
