"""`python -m batpak` is the `batpak` command."""

from batpak.cli.main import main

main()
