"""``egru bench``: times the training core against dense networks."""
