"""DriftDetector: whether the data of a run is still what the served model was trained on."""
