"""What the source showed last while nothing was decoded: it can still be shown when it shows no more."""

from edge.protocols.fmp4 import Sample
from edge.transcode.forms import VideoForm

_MOST_BYTES = 32 << 20


class Asleep:
    """The access units from the last key frame on, as far as they are within bounds."""

    def __init__(self) -> None:
        self.form: VideoForm | None = None
        self._samples: list[Sample] = []
        self._bytes = 0

    def keep(self, samples: list[Sample], form: VideoForm) -> None:
        """The next ones, in the order of decoding."""
        for sample in samples:
            if sample.key:
                self.forget()
                self.form = form
            elif self.form != form:
                continue
            self._samples.append(sample)
            self._bytes += len(sample.data)
            if self._bytes > _MOST_BYTES:
                self.forget()

    def forget(self) -> None:
        """Nothing of it is needed, up to the next key frame."""
        self.form, self._samples, self._bytes = None, [], 0

    def take(self) -> list[Sample]:
        """All that there are; they are not kept any longer."""
        samples = self._samples
        self.forget()
        return samples
