"""The science: removal operators, explainers, metrics and statistics on plain arrays."""
