"""Policy: verdicts, the gates that give them, and receipts that prove them."""
