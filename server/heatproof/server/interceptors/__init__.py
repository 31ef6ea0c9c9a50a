"""What surrounds every call: its log line, its status, its admission and its required fields."""

from heatproof.server.interceptors.admission import Admission as Admission
from heatproof.server.interceptors.errors import mapped_errors as mapped_errors
from heatproof.server.interceptors.guard import GuardInterceptor as GuardInterceptor
from heatproof.server.interceptors.request_log import logged as logged
from heatproof.server.interceptors.validation import ValidationInterceptor as ValidationInterceptor
