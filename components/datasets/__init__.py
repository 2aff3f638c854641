"""TFDS builders of the project's own data sets."""
