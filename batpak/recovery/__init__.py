"""The way up: from the files of a directory to an open store, or to a refusal."""
