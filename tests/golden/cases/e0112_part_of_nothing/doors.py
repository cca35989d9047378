from batpak_codegen.schema import Deny, Event, Gate, Package, Rename, State

package = Package("house.doors", category=0x1)


class Opened(Event, id=1):
    width: int


wide = State("Wide", final=True)
steps = [Rename("a", "b")]
fine = Gate("fine", event=Opened, require="event.width > 3", deny=Deny("NARROW", "too narrow"))
