from batpak_codegen.schema import Event, Package
from gen.house.doors.types import DoorId

package = Package("house.doors", category=0x1)


class Opened(Event, id=1):
    door_id: DoorId
