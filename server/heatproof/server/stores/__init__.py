"""What the server keeps: bytes in a folder, everything else in a database."""
