"""What can go wrong with a choice. No message repeats what was sent, because what was sent may name a person."""

from __future__ import annotations

from tacit.core.errors import Conflict, InvalidRequest, NotFound


class UnknownPurpose(InvalidRequest):
    """A purpose that people are not asked for, or no purpose at all. Nothing was recorded."""

    type = "unknown-purpose"
    title = "Unknown purpose"
    default_next_step = "Name at least one of measurement, personalisation and fairness_audit."


class CursorInvalid(InvalidRequest):
    """A cursor that no list has handed out."""

    type = "cursor-invalid"
    title = "Cursor is not valid"
    default_next_step = "Start again without a cursor, and pass on `next` unchanged."


class IdempotencyConflict(Conflict):
    """The key was used for another request within the last day. Nothing was recorded."""

    type = "idempotency-conflict"
    title = "Idempotency key was used for another request"
    default_next_step = "Send a new Idempotency-Key for a new request; repeat a request with its own key unchanged."


class ReceiptInvalid(InvalidRequest):
    """Not a receipt of this installation, or one that was changed."""

    type = "receipt-invalid"
    title = "Receipt is not valid"
    default_next_step = "Check that it is complete and was issued by this installation; its key is at /.well-known/jwks.json."


class AlreadyRecorded(Conflict):
    """The person has a record for every purpose that was to be brought in. Nothing was recorded."""

    type = "already-recorded"
    title = "Already recorded"


class GrantLapsed(InvalidRequest):
    """The answer is so old that it would have lapsed by now. Nothing was recorded."""

    type = "grant-lapsed"
    title = "The grant has lapsed"
    default_next_step = "Ask the person again."


class DestroyTooEarly(InvalidRequest):
    """An older lookup key would go while grants that it finds may still be in force. Nothing was changed."""

    type = "destroy-too-early"
    title = "The older key is still needed"
    default_next_step = "Give it at least as many days as the longest grant holds."


class ReceiptUnknown(NotFound):
    """The person has no receipt of that id: it was never issued to them, or its records were deleted for their age or on request."""

    type = "receipt-unknown"
    title = "No such receipt"


class RequestUnknown(NotFound):
    """The site has no rights request of that id."""

    type = "rights-request-unknown"
    title = "No such request"


class RequestSettled(Conflict):
    """The request is finished, or it is of another kind. Nothing was changed."""

    type = "rights-request-settled"
    title = "The request cannot be taken up again"
    default_next_step = "Ask for its state with POST /v1/rights/query; leave `request_id` out to make a new request."


class NothingSaid(InvalidRequest):
    """No choice, and signals that say nothing about any purpose. Nothing was recorded."""

    type = "nothing-said"
    title = "Nothing was said"
    default_next_step = "Send `purposes`, or signals that grant or refuse something."


class NoticeConflict(Conflict):
    """The version and locale are registered with other content. Nothing was changed."""

    type = "notice-conflict"
    title = "This version of the notice is registered with other content"
    default_next_step = "Register a changed text under a new version; a text that people have seen never changes."


class NoticeTextMismatch(InvalidRequest):
    """The hash is not that of the text, or both are missing."""

    type = "notice-text-mismatch"
    title = "Text and hash do not match"
    default_next_step = "Send `text`, or `sha256` over its bytes in UTF-8, or both if they agree."


class NoticeUnknown(NotFound):
    """No such notice, version or locale is registered."""

    type = "notice-unknown"
    title = "Notice is not registered"
    default_next_step = "Register the text first: PUT /v1/notices/{id}."
