"""What may be removed from a pipeline root, and how it is removed so that every moment leaves a consistent root."""
