"""The `batpak` command: the only room that may open both houses. Needs the extra `cli`."""
