"""``make results``: what the models of every task achieve and cost, beside published figures."""
