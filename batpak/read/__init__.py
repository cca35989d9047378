"""The way out: from rows of the index to events and folds over them."""
