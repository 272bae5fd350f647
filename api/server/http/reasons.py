"""Every reason for which a client can be refused, each with the status codes it comes with."""

from enum import StrEnum
from typing import Self


class ProblemReason(StrEnum):
    """The ``reason`` of an error: a word for programs, which never changes once it is released.

    ``codes`` are the HTTP statuses that the reason is answered with; the OpenAPI document lists
    exactly these pairs.
    """

    codes: tuple[int, ...]

    def __new__(cls, word: str, *codes: int) -> Self:
        """Return the member ``word``, which equals its text."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.codes = codes
        return member

    # the connection and the header
    INVALID_REQUEST = "InvalidRequest", 400
    NO_HOST = "NoHost", 400
    UNAUTHORIZED = "Unauthorized", 401
    FOREIGN_ORIGIN = "ForeignOrigin", 403
    HEADER_MISSING = "HeaderMissing", 403
    OUT_OF_SCOPE = "OutOfScope", 403
    HEADER_TIMEOUT = "HeaderTimeout", 408
    EXPECTATION_FAILED = "ExpectationFailed", 417
    UNKNOWN_HOST = "UnknownHost", 421
    TOO_MANY_REQUESTS = "TooManyRequests", 429
    TOO_MANY_WATCHERS = "TooManyWatchers", 429
    HEADER_TOO_LARGE = "HeaderTooLarge", 431
    INTERNAL_ERROR = "InternalError", 500
    SHUTTING_DOWN = "ShuttingDown", 503
    TOO_MANY_CONNECTIONS = "TooManyConnections", 503

    # the path
    INVALID_PATH = "InvalidPath", 400
    INVALID_QUERY = "InvalidQuery", 400
    JOB_COLLECTED = "JobCollected", 404
    JOB_LOST = "JobLost", 404
    JOB_NOT_FOUND = "JobNotFound", 404
    NO_FILTER = "NoFilter", 404
    NO_LOG = "NoLog", 409
    NOT_FOUND = "NotFound", 404
    QUEUE_NOT_FOUND = "QueueNotFound", 404
    METHOD_NOT_ALLOWED = "MethodNotAllowed", 405

    # the body
    DUPLICATE_KEY = "DuplicateKey", 400
    EMPTY_BODY = "EmptyBody", 400
    INVALID_BODY = "InvalidBody", 400
    LONE_SURROGATE = "LoneSurrogate", 400
    NOT_JSON = "NotJson", 400
    NOT_UTF8 = "NotUtf8", 400
    NUL_CHARACTER = "NulCharacter", 400
    NUMBER_OUT_OF_RANGE = "NumberOutOfRange", 400
    TOO_COMPLEX = "TooComplex", 400
    TOO_DEEP = "TooDeep", 400
    BODY_TIMEOUT = "BodyTimeout", 408
    TOO_LARGE = "TooLarge", 413
    UNSUPPORTED_MEDIA_TYPE = "UnsupportedMediaType", 415

    # the filter
    FILTER_FAILED = "FilterFailed", 400
    FILTER_TIMEOUT = "FilterTimeout", 400
    MANY_MANIFESTS = "ManyManifests", 400
    NO_MANIFEST = "NoManifest", 400
    SCHEMA_VIOLATION = "SchemaViolation", 400
    RULE_VIOLATION = "RuleViolation", 403
    TOO_MANY_SLOW_FILTERS = "TooManySlowFilters", 429
    FILTER_BUSY = "FilterBusy", 503

    # the manifest
    INVALID_MANIFEST = "InvalidManifest", 400
    INVALID_NAME = "InvalidName", 400
    NAME_MISSING = "NameMissing", 400
    RESERVED_LABEL = "ReservedLabel", 400
    DENIED = "Denied", 403
    UNKNOWN_QUEUE = "UnknownQueue", 400

    # the queue, the image and the engine
    QUEUE_FULL = "QueueFull", 429
    ENGINE_REFUSED = "EngineRefused", 400
    IMAGE_NOT_FOUND = "ImageNotFound", 400
    PLATFORM_MISMATCH = "PlatformMismatch", 400
    PULL_DENIED = "PullDenied", 400
    DOCUMENT_CONFLICT = "DocumentConflict", 409
    NAME_TAKEN = "NameTaken", 409
    ENGINE_FAILED = "EngineFailed", 502
    ENGINE_UNAVAILABLE = "EngineUnavailable", 502, 503
    NAME_BUSY = "NameBusy", 502
    PULL_FAILED = "PullFailed", 502
