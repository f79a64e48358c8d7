"""Lattice ECP5: PLL, top level, tools and build flow."""
