"""Forges, where code is reviewed: what a gate says to GitHub and GitLab."""
