"""Yours. batpak appends methods that are missing here; it never changes a line you wrote."""

from __future__ import annotations

from typing import final

from gen.shop import hooks as h


@final
class Hooks(h.ShopHooks):
    @h.override
    def evolve_tab_start(self, state: h.New, event: h.Opened, /) -> h.Open:
        """New + Opened -> Open. Runs on every load. Not derivable: ``best``.

        A tab begins.
        """
        raise NotImplementedError  # batpak: write me

    @h.override
    def evolve_tab_add(self, state: h.Open, event: h.Added, /) -> h.Open:
        """Open + Added -> Open. Runs on every load."""
        raise NotImplementedError  # batpak: write me
