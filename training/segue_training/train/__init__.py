"""The training from base parts to a model."""
