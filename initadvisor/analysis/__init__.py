"""Graph -> layers and facts: what a model is and how its weights are, by code that judges nothing."""
