"""Whether maps agree with each other."""
