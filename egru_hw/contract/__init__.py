"""What hardware and host share: sizes, packets, registers and memory contents."""
