"""Numbers computed from images or from the samples table; no classifier."""
