"""Linting charts: what was found, where it stands, how it is reported, and how values files are corrected."""
