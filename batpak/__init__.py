"""Describe events once; get typed Python and an embedded, tamper-evident event store."""
