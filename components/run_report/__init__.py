"""RunReport: what came of a run, as artifacts that people, and the pages of Kubeflow Pipelines, read."""
