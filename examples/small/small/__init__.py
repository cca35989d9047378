"""Small programs, each of which shows one thing. `python -m small` lists them."""
