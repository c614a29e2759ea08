"""Bytes in, `SipMessage` out: one module a source. Knows nothing of calls or databases."""
