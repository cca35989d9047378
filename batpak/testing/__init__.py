"""Tools for tests: a simulated machine whose power can be cut at any moment."""
