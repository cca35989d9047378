"""A small shop: orders that are placed, paid, shipped or cancelled."""
