"""How far the property tests go by default: far enough to notice, short enough to be run often."""

from hypothesis import settings

settings.register_profile("bounded", max_examples=40)
settings.register_profile("long", max_examples=1000)
settings.load_profile("bounded")  # `--hypothesis-profile long` goes further
