"""The collection service seen from the pipeline: what it holds, what is taken from it, and what plays the world for it."""
