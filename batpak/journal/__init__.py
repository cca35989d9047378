"""Bytes without meaning: segment files, their frames, and HEAD."""
