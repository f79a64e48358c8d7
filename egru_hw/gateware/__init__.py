"""The accelerator in Amaranth: one file for each unit."""
