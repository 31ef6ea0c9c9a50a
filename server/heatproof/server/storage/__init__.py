"""The database and the files of all that is stored, on disks that fill up, fail or get mixed up."""
