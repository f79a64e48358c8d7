"""Simulation of the accelerator, compared with the integer model bit for bit."""

from sim.simulation import Simulation, run

__all__ = ["Simulation", "run"]
