"""An agent at a desk: every call of a tool is judged, stored, and provable to a third party."""
