"""Whether a canary is promoted or rolled back: asked beside the stable version, compared, decided."""
