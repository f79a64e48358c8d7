"""Lattice ECP5: clock, top level, tools and the build."""
