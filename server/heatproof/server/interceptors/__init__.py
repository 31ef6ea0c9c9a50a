"""What surrounds every call: its log line, its status, its admission and its messages."""

from heatproof.server.interceptors.admission import Admission as Admission
from heatproof.server.interceptors.errors import mapped_errors as mapped_errors
from heatproof.server.interceptors.guard import GuardInterceptor as GuardInterceptor
from heatproof.server.interceptors.reading import ReadingInterceptor as ReadingInterceptor
from heatproof.server.interceptors.request_log import logged as logged
