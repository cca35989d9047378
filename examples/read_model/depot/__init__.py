"""A depot: the log says what happened, tables in sqlite say what is there."""
