"""Schemas that are Python modules: loaded in a process of their own, read into the same nodes."""
