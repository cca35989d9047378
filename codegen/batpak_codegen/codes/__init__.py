"""Every code a diagnostic can have: what it means, why, the way out, an example."""
