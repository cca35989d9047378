"""Who takes part, one module each. A contender returns the seconds its own loop took."""
