"""What helps."""
