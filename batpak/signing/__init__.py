"""Signatures: Ed25519 keys, whom one trusts, and what a check of a signature says."""
