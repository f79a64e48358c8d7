"""Benchmarks and results: what is measured with the packages, and not installed with them."""
