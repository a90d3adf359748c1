"""OpenCLIP models become the trunks of a model."""
