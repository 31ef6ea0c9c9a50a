"""How networks are opened and run, whatever runs them."""

from dataclasses import dataclass

from heatproof.graphs.runtime.backends.providers import Provider, composes


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """How sessions run.

    Attributes:
        threads: threads inside an operator; of a cache, threads of all that run at once.
        fused: whether ONNX Runtime may fuse nodes; else a session opens sooner and runs slower.
        grouped: batches that one run takes, of those that `grouping.COUNTS` lists; 0: the fastest.
        log_severity: lowest severity of ONNX Runtime's log: 2 warnings, 3 errors, 4 fatal.
        provider: what runs them.
        composed: whether graphs draw their rows themselves; None: as suits the provider.
        side_by_side: runs of one session at once.
    """

    threads: int = 1
    log_severity: int = 3
    fused: bool = True
    grouped: int = 0
    provider: Provider = Provider.CPU
    composed: bool | None = None
    side_by_side: int = 1

    @property
    def composes(self) -> bool:
        """Whether graphs draw their rows themselves."""
        return composes(self.provider) if self.composed is None else self.composed
