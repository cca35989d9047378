from batpak_codegen.schema import *

package = Package("house.doors", category=0x1)
class DoorId(Id, prefix="door"): ...
class Opened(Event, id=1):
    door_id: DoorId


door = Machine(
    "Door",
    entity="door:{door}",
    states=[State("Planned", initial=True), State("Open"), State("Lost", extends="Opne")],
    moves=[
        Move("open", "Planned", "Opne", Opened),
        Move("shut", ["Open", "Shut"], "Planned", Opened),
    ],
)
