# Kept by the people of the counter.
from typing import final
import re
import gen.shop.hooks as doors

RUDE = re.compile(r"damn|blast")


@final
class Manners(doors.ShopHooks):
  """Two spaces, as always here."""

  def gate_polite(self, event: doors.Noted, /) -> doors.PoliteVerdict:
    return "RUDE" if RUDE.search(event.text) else doors.PERMIT

  # that is all

  @doors.override
  def gate_short(self, event: doors.Noted, /) -> doors.ShortVerdict:
    """Nobody reads more.

    Return PERMIT or one of the codes. Anything else denies with GATE_DEFECT.
    """
    raise NotImplementedError  # batpak: write me


manners = Manners()
