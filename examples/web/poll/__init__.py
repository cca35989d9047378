"""Polls on the web: asked, voted in, counted, and watched live."""
