"""Likenesses of two maps: of two explainers, or of one explainer on two models."""
