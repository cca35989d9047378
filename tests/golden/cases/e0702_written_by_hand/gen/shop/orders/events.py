"""Events, by hand."""
