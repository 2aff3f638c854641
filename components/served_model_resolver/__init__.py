"""ServedModelResolver: the model that is served, for the Evaluator to compare the new one with."""
