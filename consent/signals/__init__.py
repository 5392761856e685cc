"""Signals that browsers and consent platforms send: IAB TCF, IAB GPP, Global Privacy Control and Google Consent Mode.

Strict, bounded decoders, usable as a library: `tcf.decode`, `gpp.decode`, `gpc.opted_out`, `consent_mode.read`. A string that does not
follow its specification to the last bit is refused with a code; nothing is ever guessed into a consent. What a signal means for our
purposes is in `mapping`.
"""

DECODER = "tacit-signals 1"
"""Stands on every receipt beside the raw strings; to be raised when any string would be read differently."""
