"""What surrounds every call: its log line, its status, its admission and its messages."""

from heatproof.server.api.interceptors.admission import Admission as Admission
from heatproof.server.api.interceptors.errors import mapped_errors as mapped_errors
from heatproof.server.api.interceptors.guard import GuardInterceptor as GuardInterceptor
from heatproof.server.api.interceptors.reading import ReadingInterceptor as ReadingInterceptor
from heatproof.server.api.interceptors.request_log import logged as logged
