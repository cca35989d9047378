"""What holds the bytes: the seam that a store sees, and the file system behind it."""
