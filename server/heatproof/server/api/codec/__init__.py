"""Between messages and values: one function each way, driven by the descriptors of the contract."""

from heatproof.server.api.codec.fields.decoding import decode as decode
from heatproof.server.api.codec.fields.decoding import decode_choice as decode_choice
from heatproof.server.api.codec.fields.encoding import encode as encode
