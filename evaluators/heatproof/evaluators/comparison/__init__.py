"""Compares the models of one evaluation, image by image."""
