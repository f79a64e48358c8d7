"""The accelerator on boards: pins and clocks, and the way to a bitstream."""
