"""A dungeon with doors."""
