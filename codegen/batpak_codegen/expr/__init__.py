"""Gate expressions: a total, typed subset of Python, read by our own parser."""
