"""AMF0 (Adobe, "Action Message Format -- AMF 0", 2007), as RTMP commands and metadata use it.

Numbers are floats, Object, ECMA array and typed object become dict, strict array list, null, undefined and
unsupported None, Date its milliseconds. Depth, values and bytes are bounded; reading raises AmfError only.
"""

import struct
from collections.abc import Sequence
from typing import TypeAlias

from appliance.contracts.errors import BadInputError

MAX_DEPTH = 64
MAX_VALUES = 10_000

AmfValue: TypeAlias = bool | float | str | list["AmfValue"] | dict[str, "AmfValue"] | None

_NUMBER, _BOOLEAN, _STRING, _OBJECT, _NULL, _UNDEFINED, _REFERENCE = 0, 1, 2, 3, 5, 6, 7
_ECMA_ARRAY, _OBJECT_END, _STRICT_ARRAY, _DATE, _LONG_STRING, _UNSUPPORTED = 8, 9, 10, 11, 12, 13
_XML, _TYPED_OBJECT = 15, 16
_NOTHING = frozenset({_NULL, _UNDEFINED, _UNSUPPORTED})


class AmfError(BadInputError):
    """The bytes are not AMF0."""

    code = "amf"


class EcmaArray(dict[str, AmfValue]):
    """A dict that is written as an ECMA array, as metadata is by custom."""


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0
        self._values = 0

    @property
    def done(self) -> bool:
        return self.at >= len(self._data)

    def take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self._data):
            raise AmfError("the value is cut off")
        piece = self._data[self.at : end]
        self.at = end
        return piece

    def u16(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def text(self, length: int) -> str:
        return self.take(length).decode("utf-8", "replace")

    def number(self) -> float:
        value: float = struct.unpack(">d", self.take(8))[0]
        return value

    def value(self, depth: int = 0) -> AmfValue:
        self._values += 1
        if depth > MAX_DEPTH or self._values > MAX_VALUES:
            raise AmfError("nested too deep or too many values")
        marker = self.take(1)[0]
        if marker in _NOTHING:
            return None
        if marker in (_OBJECT, _ECMA_ARRAY, _TYPED_OBJECT, _STRICT_ARRAY, _REFERENCE):
            return self._compound(marker, depth)
        return self._simple(marker)

    def _simple(self, marker: int) -> AmfValue:
        if marker == _NUMBER:
            return self.number()
        if marker == _BOOLEAN:
            return self.take(1) != b"\0"
        if marker == _STRING:
            return self.text(self.u16())
        if marker in (_LONG_STRING, _XML):
            return self.text(self.u32())
        if marker == _DATE:
            milliseconds = self.number()
            self.take(2)  # time zone, reserved
            return milliseconds
        raise AmfError(f"no AMF0 type {marker}")

    def _compound(self, marker: int, depth: int) -> AmfValue:
        if marker == _REFERENCE:
            self.u16()
            return None  # nothing we read needs one, and a cycle would be a trap
        if marker == _STRICT_ARRAY:
            return self._array(depth)
        if marker == _TYPED_OBJECT:
            self.text(self.u16())
        elif marker == _ECMA_ARRAY:
            self.take(4)  # a count that encoders get wrong
        return self._properties(depth)

    def _array(self, depth: int) -> AmfValue:
        items: list[AmfValue] = []
        count = self.u32()
        for _ in range(count):
            if self.done:
                raise AmfError("the array is cut off")
            items.append(self.value(depth + 1))
        return items

    def _properties(self, depth: int) -> AmfValue:
        """Up to the end marker; an object that ends with the data is accepted as some encoders send it."""
        properties: dict[str, AmfValue] = {}
        while not self.done:
            name = self.text(self.u16())
            if not name and self._data[self.at : self.at + 1] == bytes([_OBJECT_END]):
                self.at += 1
                break
            properties[name] = self.value(depth + 1)
        return properties


def decode(data: bytes) -> list[AmfValue]:
    """Every value of `data`. AmfError when one cannot be read."""
    reader = _Reader(data)
    values = []
    while not reader.done:
        values.append(reader.value())
    return values


def decode_lenient(data: bytes) -> tuple[list[AmfValue], bool]:
    """The values up to the first that cannot be read, and whether that was all of them. Never raises."""
    reader = _Reader(data)
    values: list[AmfValue] = []
    try:
        while not reader.done:
            values.append(reader.value())
    except AmfError:
        return values, False
    return values, True


def encode(values: Sequence[AmfValue | int]) -> bytes:
    """AMF0 of the values one after the other. dict is written as Object, EcmaArray as ECMA array."""
    out = bytearray()
    for value in values:
        _write(out, value)
    return bytes(out)


def _write(out: bytearray, value: AmfValue | int) -> None:
    if value is None:
        out.append(_NULL)
    elif isinstance(value, bool):
        out += bytes([_BOOLEAN, value])
    elif isinstance(value, int | float):
        out += struct.pack(">Bd", _NUMBER, value)
    elif isinstance(value, str):
        _write_text(out, value.encode())
    elif isinstance(value, list):
        out += struct.pack(">BI", _STRICT_ARRAY, len(value))
        for item in value:
            _write(out, item)
    else:
        _write_properties(out, value)


def _write_text(out: bytearray, text: bytes) -> None:
    if len(text) > 0xFFFF:
        out += struct.pack(">BI", _LONG_STRING, len(text)) + text
    else:
        out += struct.pack(">BH", _STRING, len(text)) + text


def _write_properties(out: bytearray, properties: dict[str, AmfValue]) -> None:
    if isinstance(properties, EcmaArray):
        out += struct.pack(">BI", _ECMA_ARRAY, len(properties))
    else:
        out.append(_OBJECT)
    for name, value in properties.items():
        key = name.encode()[:0xFFFF]
        out += struct.pack(">H", len(key)) + key
        _write(out, value)
    out += bytes([0, 0, _OBJECT_END])
