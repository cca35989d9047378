from batpak_codegen.schema import *

package = Package("house.doors", category=0x1)
class DoorId(Id, prefix="door"): ...
class Opened(Event, id=1):
    door_id: DoorId


class Shut(Event, id=2, version=2, upcasts={1: [Opened]}):
    door_id: DoorId


door = Machine(
    "Door",
    entity="door:{door_id}",
    states=[State("Planned", initial=True), State("Open", data=["width"])],
    moves=[Move("push", "Planned", "Open", Opened), State("Shut")],
)
gate = Machine(
    "Gate",
    entity="gate:{door_id}",
    states=[State("Planned", initial=True), Opened],
    moves={"push": Opened},
)
