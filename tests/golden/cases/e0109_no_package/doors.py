from batpak_codegen.schema import Struct


class Door(Struct):
    width: int
