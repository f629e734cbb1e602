"""Auditing many releases: reading a whole cluster in one pass, judging it, comparing clusters, and showing what was found."""
