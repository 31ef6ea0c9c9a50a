"""A way to a server that is cut once, in the middle of what the server says."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Relay:
    """Hands bytes between clients and a server.

    Attributes:
        address: where clients connect.
        whole: bytes of the server's that pass before the connection is cut, once.
    """

    address: str
    whole: int
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def lets(self, size: int) -> bool:
        """Counts bytes of the server's; False where the cut falls."""
        with self._lock:
            before, self.whole = self.whole, self.whole - size
            return not 0 <= before < size


@contextlib.contextmanager
def relayed(server: str, *, whole: int) -> Iterator[Relay]:
    """Opens the way; it ends with the block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        relay = Relay(f"127.0.0.1:{listener.getsockname()[1]}", whole)
        threading.Thread(target=_accept, args=(listener, server, relay), daemon=True).start()
        yield relay
        # Wakes the thread that waits for connections.
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, server: str, relay: Relay) -> None:
    host, _, port = server.rpartition(":")
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            upstream = socket.create_connection((host, int(port)))
            for ways in ((client, upstream, None), (upstream, client, relay)):
                threading.Thread(target=_hand, args=ways, daemon=True).start()


def _hand(source: socket.socket, target: socket.socket, relay: Relay | None) -> None:
    with contextlib.suppress(OSError), source, target:
        while data := source.recv(1024):
            if relay is not None and not relay.lets(len(data)):
                break
            target.sendall(data)
        for one in (source, target):
            one.shutdown(socket.SHUT_RDWR)
