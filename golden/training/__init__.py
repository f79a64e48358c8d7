"""Training: recipes, batches, the loop, and the model file at its end."""
