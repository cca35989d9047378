"""From schema text to nodes that know where they stood."""
