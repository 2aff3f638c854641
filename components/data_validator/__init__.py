"""DataValidator: TFX's ExampleValidator, which also sees bounds that no model could keep on the data."""
