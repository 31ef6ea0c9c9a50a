"""Groups of images: as units of sampling, and against each other."""
