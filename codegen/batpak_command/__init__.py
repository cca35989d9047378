"""The door of the `batpak` command: what can be answered without the library is answered here."""
