"""The RPCs: each decodes, computes and encodes."""
