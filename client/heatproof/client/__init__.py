"""The thin client: the Python SDK and the `heatproof` command."""
