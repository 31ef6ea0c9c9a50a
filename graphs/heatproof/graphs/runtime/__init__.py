"""Runs models in ONNX Runtime."""

from heatproof.graphs.runtime.backends.settings import SessionSettings as SessionSettings
from heatproof.graphs.runtime.cancellation import Cancellation as Cancellation
from heatproof.graphs.runtime.sessions import Session as Session
from heatproof.graphs.runtime.sessions import SessionCache as SessionCache
from heatproof.graphs.runtime.sessions import open_session as open_session
