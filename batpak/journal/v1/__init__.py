"""The bytes of stores of the Rust original (0.7). See docs/reference/rust-format.md."""
