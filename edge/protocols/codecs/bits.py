"""Bits of an RBSP, Exp-Golomb codes included (ITU-T H.264, 7.2 and 9.1)."""

from appliance.contracts.errors import BadInputError


class CodecError(BadInputError):
    """A codec configuration or access unit that cannot be read."""

    code = "codec"


class BitReader:
    """Reads bits from the most significant on. CodecError past the end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    @property
    def left(self) -> int:
        """Bits not read yet."""
        return self._left

    def bits(self, count: int) -> int:
        """An unsigned number of `count` bits."""
        if count > self._left:
            raise CodecError("the configuration ends too early")
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def flag(self) -> bool:
        """One bit."""
        return self.bits(1) == 1

    def ue(self) -> int:
        """ue(v), at most 32 bits of prefix."""
        zeros = 0
        while not self.flag():
            zeros += 1
            if zeros > 32:
                raise CodecError("not an Exp-Golomb code")
        return (1 << zeros) - 1 + self.bits(zeros)

    def se(self) -> int:
        """se(v)."""
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)
