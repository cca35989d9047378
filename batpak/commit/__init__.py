"""The way in: what an append becomes, and the one lane on which it happens."""
