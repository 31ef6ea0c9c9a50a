"""What the stores stand on: disks that fill up, fail, or are taken for others."""
