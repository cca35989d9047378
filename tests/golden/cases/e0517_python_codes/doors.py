from batpak_codegen.schema import Event, Gate, Package, Policy, Projection

package = Package("house.doors", category=1)


class Opened(Event, id=1):
    n: int


limit = Gate("limit", event=Opened, python={"LIMIT": "too much", "LIMIT": "far too much"})
openings = Policy("Openings", event=Opened, gates=[limit])
count = Projection("Count", "all", {"n": int, "m": int, "n": str})
