"""Fields of messages, read and written by their descriptors."""
