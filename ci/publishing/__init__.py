"""Data versions: what may be published, as which version, where it can be had, and whether it is fresh."""
