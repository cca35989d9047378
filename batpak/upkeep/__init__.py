"""Health: checking everything that the files of a store promise."""
