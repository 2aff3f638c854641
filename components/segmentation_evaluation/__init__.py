"""Segmentation metrics for TFX's Evaluator."""
