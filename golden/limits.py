"""The largest networks and batches. What is larger is refused before it takes memory."""

LAYERS = 100
UNITS = 8192
"""Units of a layer, or size of an embedding."""
PARAMETERS = 1 << 28
"""Of a network; training takes 16 bytes for each."""
STATES = 1 << 28
"""Units times steps times sequences of a batch, over all layers."""
