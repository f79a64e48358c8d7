"""From a float network to the integer model, after or during training."""
