"""Reads the heads of classifiers: which output holds class scores, and what was done to them."""
