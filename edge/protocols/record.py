"""Values of which there is one for each frame: as machine code their fields are read without a look-up."""


class Record:
    """A value: equal to another of its kind whose fields are. Nobody changes one."""

    __slots__ = ()

    def fields(self) -> tuple[object, ...]:
        """What it is made of, in the order in which it is made."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and type(other) is type(self) and other.fields() == self.fields()

    def __hash__(self) -> int:
        return hash(self.fields())

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self.fields()}"
