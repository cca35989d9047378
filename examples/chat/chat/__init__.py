"""A chat room: history by query, presence by a lossy feed."""
