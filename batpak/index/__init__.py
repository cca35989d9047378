"""Meaning without files: which rows an entity, a scope, a kind, an id or a key has."""
