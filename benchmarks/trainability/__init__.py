"""Does the state that a network starts from predict whether it trains? Networks, their training, and the verdicts."""
