"""Stores of the Rust original (0.7): reading them in place, and writing one."""
