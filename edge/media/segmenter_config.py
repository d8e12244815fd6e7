"""How a segmenter cuts."""


class SegmenterConfig:
    """All in ticks of `timescale`. `chunk_target` 0: one chunk per part. `tapered`: that is their mean length.

    `contiguous`: for pictures, which can be decoded earlier than they are shown. Nobody changes one.
    """

    def __init__(
        self,
        *,
        timescale: int,
        part_target: int,
        segment_target: int,
        max_segment: int,
        chunk_target: int = 0,
        tapered: bool = False,
        given_boundaries: bool = False,
        contiguous: bool = False,
    ) -> None:
        self.timescale = timescale
        self.part_target = part_target
        self.segment_target = segment_target
        self.max_segment = max_segment
        self.chunk_target = chunk_target
        self.tapered = tapered
        self.given_boundaries = given_boundaries
        self.contiguous = contiguous

    def replace(
        self,
        *,
        max_segment: int | None = None,
        chunk_target: int | None = None,
        tapered: bool | None = None,
        given_boundaries: bool | None = None,
    ) -> "SegmenterConfig":
        """The same but for what is given."""
        return SegmenterConfig(
            timescale=self.timescale,
            part_target=self.part_target,
            segment_target=self.segment_target,
            max_segment=self.max_segment if max_segment is None else max_segment,
            chunk_target=self.chunk_target if chunk_target is None else chunk_target,
            tapered=self.tapered if tapered is None else tapered,
            given_boundaries=self.given_boundaries if given_boundaries is None else given_boundaries,
            contiguous=self.contiguous,
        )
