"""``egru results``: scores and costs of the models of every task, beside published figures."""
