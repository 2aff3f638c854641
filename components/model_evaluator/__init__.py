"""ModelEvaluator: TFX's Evaluator with a baseline that may be missing, slices that may be small, and a last word."""
