"""Processes in which models and images are parsed and networks run."""
