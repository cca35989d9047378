"""The books of a small firm: entries that are never changed, and an audit that needs no trust."""
