"""What a check says."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check saw. `advice` is empty when all is well."""

    check: str
    seen: str
    advice: str = ""

    @property
    def ok(self) -> bool:
        return not self.advice
