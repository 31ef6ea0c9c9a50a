"""The second line around a worker: what the kernel forbids it, whatever its parsers let through.

A sandbox holds for the thread that enters it and for those that it starts, so a worker enters it
before it loads any library; these modules need the standard library alone.
"""
