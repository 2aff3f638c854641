"""KServeDeployer: has KServe serve the model that was pushed."""
