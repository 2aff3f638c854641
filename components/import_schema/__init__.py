"""ImportSchema: brings a curated schema into the pipeline by its content, not by its path."""
