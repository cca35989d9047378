"""`python -m batpak` is the `batpak` command."""

from batpak_command.main import main

main()
