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


manners = Manners()
