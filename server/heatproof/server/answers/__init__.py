"""Answers of models that are kept between evaluations, on the server's disk."""
