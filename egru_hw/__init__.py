"""An accelerator for event-based GRUs in Amaranth."""
