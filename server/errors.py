"""What can go wrong, once: the error an action raises and the codes with which sockets are closed.

Invariants: `Refused` is the only error an action raises on purpose; each edge renders it in its own dialect.
A transaction that ends with it leaves nothing behind, neither rows nor events.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One kind of failure: `status` is what the database API answers (recorded: access problems are mostly 400),
    `plain` what HTTP means by it, for the items and records APIs; 0 means the same as `status`."""

    code: str
    status: int
    detail: str = ""
    plain: int = 0

    @property
    def plain_status(self) -> int:
        return self.plain or self.status


class Refused(Exception):
    """An action that was refused; `detail` is text or the nested field errors of contract database.md (c)."""

    def __init__(self, kind: ErrorCode, detail: Any = None) -> None:
        super().__init__(kind.code)
        self.kind = kind
        self.detail = kind.detail if detail is None else detail

    def __str__(self) -> str:
        return f"{self.kind.code}: {self.detail}"


class Unavailable(Exception):
    """The database cannot be reached or written just now; the request may be repeated. `told` is for the client."""

    told = "The database is not available just now."


class Busy(Unavailable):
    """There is more to do at once than can be done in time."""

    told = "The server is busy. Come back later."


class StorageUnavailable(Unavailable):
    """The same of the storage of files."""

    told = "The file storage is not available just now."


class TooMany(Exception):
    """More than a limit allows; the client may come back after `wait` seconds."""

    def __init__(self, kind: ErrorCode, wait: float = 1.0) -> None:
        super().__init__(kind.code)
        self.kind = kind
        self.wait = wait


INVALID_BODY = ErrorCode("ERROR_REQUEST_BODY_VALIDATION", 400)
INVALID_QUERY = ErrorCode("ERROR_QUERY_PARAMETER_VALIDATION", 400)

EMAIL_TAKEN = ErrorCode("ERROR_EMAIL_ALREADY_EXISTS", 400)
BAD_SIGNATURE = ErrorCode("BAD_TOKEN_SIGNATURE", 400)
INVALID_CREDENTIALS = ErrorCode("ERROR_INVALID_CREDENTIALS", 401, "No active account found with the given credentials.")
INVALID_ACCESS_TOKEN = ErrorCode("ERROR_INVALID_ACCESS_TOKEN", 401, "Access token is expired or invalid.")
INVALID_REFRESH_TOKEN = ErrorCode("ERROR_INVALID_REFRESH_TOKEN", 401, "Refresh token is expired or invalid.")
REFRESH_TOKEN_BLACKLISTED = ErrorCode(
    "ERROR_REFRESH_TOKEN_ALREADY_BLACKLISTED", 400, "The provided refresh token is already blacklisted."
)
INVALID_OLD_PASSWORD = ErrorCode("ERROR_INVALID_OLD_PASSWORD", 400)
SIGNUP_DISABLED = ErrorCode("ERROR_DISABLED_SIGNUP", 400, "Sign up is disabled.")
NO_CREDENTIALS = ErrorCode("", 401, "Authentication credentials were not provided.")
USER_NOT_FOUND = ErrorCode("", 401, "User not found")
BAD_AUTHORIZATION = ErrorCode("", 401, "Authorization header must contain two space-delimited values")
NOT_STAFF = ErrorCode("", 403, "You do not have permission to perform this action.")

NOT_IN_WORKSPACE = ErrorCode("ERROR_USER_NOT_IN_GROUP", 400, "", plain=403)
NO_PERMISSION = ErrorCode("ERROR_USER_INVALID_GROUP_PERMISSIONS", 400, "", plain=403)
NO_WORKSPACE = ErrorCode("ERROR_GROUP_DOES_NOT_EXIST", 404, "The requested group does not exist.")
NO_MEMBER = ErrorCode("ERROR_GROUP_USER_DOES_NOT_EXIST", 404, "The requested group user does not exist.")
MEMBER_EXISTS = ErrorCode("ERROR_GROUP_USER_ALREADY_EXISTS", 400, "The user is already a member of the group.")
CANNOT_REMOVE_YOURSELF = ErrorCode(
    "ERROR_CANNOT_DELETE_YOURSELF_FROM_GROUP", 400, "You cannot delete yourself from the group."
)
LAST_ADMIN = ErrorCode(
    "ERROR_GROUP_USER_IS_LAST_ADMIN",
    400,
    "The related user is the last admin in the group. They must delete the group or give someone else admin"
    " permissions.",
)
NO_INVITATION = ErrorCode(
    "ERROR_GROUP_INVITATION_DOES_NOT_EXIST", 404, "The requested group invitation does not exist."
)
INVITATION_MISMATCH = ErrorCode(
    "ERROR_GROUP_INVITATION_EMAIL_MISMATCH", 400, "Your email address does not match with the invitation."
)
BAD_HOSTNAME = ErrorCode("ERROR_HOSTNAME_IS_NOT_ALLOWED", 400)
NO_NOTIFICATION = ErrorCode("ERROR_NOTIFICATION_DOES_NOT_EXIST", 404, "The requested notification does not exist.")

NO_APPLICATION = ErrorCode("ERROR_APPLICATION_DOES_NOT_EXIST", 404, "The requested application does not exist.")
NO_APPLICATION_TYPE = ErrorCode("ERROR_APPLICATION_TYPE_DOES_NOT_EXIST", 400)
APPLICATION_NOT_IN_WORKSPACE = ErrorCode("ERROR_APPLICATION_NOT_IN_GROUP", 400)
NO_TABLE = ErrorCode("ERROR_TABLE_DOES_NOT_EXIST", 404, "The requested table does not exist.")
TABLE_NOT_IN_DATABASE = ErrorCode("ERROR_TABLE_NOT_IN_DATABASE", 400)
NO_JOB = ErrorCode("ERROR_JOB_DOES_NOT_EXIST", 404, "The requested job does not exist.")
NO_FIELD = ErrorCode("ERROR_FIELD_DOES_NOT_EXIST", 404, "The requested field does not exist.")
NO_ROW = ErrorCode("ERROR_ROW_DOES_NOT_EXIST", 404)
NO_VIEW = ErrorCode("ERROR_VIEW_DOES_NOT_EXIST", 404, "The requested view does not exist.")
PAGE_SIZE_LIMIT = ErrorCode("ERROR_PAGE_SIZE_LIMIT", 400)
ORDER_BY_FIELD_NOT_FOUND = ErrorCode("ERROR_ORDER_BY_FIELD_NOT_FOUND", 400)
ROW_IDS_NOT_UNIQUE = ErrorCode("ERROR_ROW_IDS_NOT_UNIQUE", 400)
INVALID_TABLE_DATA = ErrorCode(
    "ERROR_INVALID_INITIAL_TABLE_DATA",
    400,
    "The provided table data must at least contain one row and one column.",
)
TABLE_DATA_TOO_LONG = ErrorCode("ERROR_INITIAL_TABLE_DATA_LIMIT_EXCEEDED", 400)
DUPLICATE_HEADER = ErrorCode(
    "ERROR_INITIAL_TABLE_DATA_HAS_DUPLICATE_NAMES",
    400,
    "Field names must be unique in Baserow per table however the initial table data provided contains duplicate field"
    " names, please make them unique and try again.",
)
RESERVED_FIELD_NAME = ErrorCode(
    "ERROR_RESERVED_BASEROW_FIELD_NAME",
    400,
    "The field names id,order are reserved and cannot and cannot be used for a user created field, please choose"
    " different field name.",
)
BLANK_FIELD_NAME = ErrorCode(
    "ERROR_INVALID_BASEROW_FIELD_NAME", 400, "Fields must not be blank or only consist of whitespace."
)
LONG_FIELD_NAME = ErrorCode(
    "ERROR_MAX_FIELD_NAME_LENGTH_EXCEEDED", 400, "You cannot set a field name longer than 255 characters."
)
FIELD_NAME_TAKEN = ErrorCode(
    "ERROR_FIELD_WITH_SAME_NAME_ALREADY_EXISTS",
    400,
    "You cannot have two fields with the same name in the same table, please choose a unique name for each field.",
)
TOO_MANY_FIELDS = ErrorCode("ERROR_MAX_FIELD_COUNT_EXCEEDED", 400)
PRIMARY_FIELD_STAYS = ErrorCode("ERROR_CANNOT_DELETE_PRIMARY_FIELD", 400)
FIELD_NOT_IN_TABLE = ErrorCode(
    "ERROR_FIELD_NOT_IN_TABLE", 400, "The provided field does not belong in the related table."
)
ALREADY_PRIMARY = ErrorCode("ERROR_FIELD_IS_ALREADY_PRIMARY", 400, "The provided field is already the primary field.")

NO_PROJECT = ErrorCode("ERROR_PROJECT_DOES_NOT_EXIST", 404, "The requested project does not exist.")
NO_ENDPOINT = ErrorCode("ERROR_ENDPOINT_DOES_NOT_EXIST", 404, "The requested endpoint does not exist.")
ENDPOINT_NAME_TAKEN = ErrorCode("ERROR_ENDPOINT_NAME_TAKEN", 400, "The name of the endpoint is taken.")
NOT_SUPPORTED = ErrorCode("ERROR_NOT_SUPPORTED", 400)
ENDPOINT_INVALID = ErrorCode("ERROR_ENDPOINT_INVALID", 400, "The endpoint is invalid.")
TOO_MANY_ENDPOINTS = ErrorCode("ERROR_TOO_MANY_ENDPOINTS", 429, "The connection has too many endpoints.")
KEY_MISSING = ErrorCode("ERROR_KEY_MISSING", 403, "The API key is missing.")
KEY_INVALID = ErrorCode("ERROR_KEY_INVALID", 400, "The API key is invalid.")
MASTER_KEY_INVALID = ErrorCode("ERROR_MASTER_KEY_INVALID", 400, "The master key is invalid.")
ORIGIN_REFUSED = ErrorCode("ERROR_ORIGIN_REFUSED", 403, "The origin is not allowed.")
TOKEN_MISSING = ErrorCode("ERROR_TOKEN_MISSING", 401, "The access token is missing.")
TOKEN_INVALID = ErrorCode("ERROR_TOKEN_INVALID", 401, "The access token is invalid.")
TOKEN_EXPIRED = ErrorCode("ERROR_TOKEN_EXPIRED", 401, "The access token has expired.")
WRONG_CREDENTIALS = ErrorCode("ERROR_WRONG_CREDENTIALS", 401, "The name or the password is wrong.")
NOT_OWNER = ErrorCode("ERROR_NOT_OWNER", 403, "The record belongs to somebody else.")
USER_NAME_TAKEN = ErrorCode("ERROR_USER_NAME_TAKEN", 400, "The username or the email is taken.")
BAD_USER = ErrorCode("ERROR_USER", 400)
NO_AUTHENTICATION = ErrorCode("ERROR_NO_AUTHENTICATION", 400, "The endpoint authenticates nobody.")
BAD_OPTIONS = ErrorCode("ERROR_OPTIONS", 400)
NO_RECORD = ErrorCode("ERROR_RECORD_DOES_NOT_EXIST", 400, "There is no such record.")
BAD_CONTENT_TYPE = ErrorCode(
    "ERROR_CONTENT_TYPE",
    400,
    "The content type must be application/json or text/plain, or multipart/form-data to store files.",
)
BAD_BODY = ErrorCode("ERROR_BODY", 400)
BAD_STRATEGY = ErrorCode("ERROR_STRATEGY", 400)
EXPRESSION_FAILED = ErrorCode("ERROR_EXPRESSION", 400)
FILE_TOO_LARGE = ErrorCode("ERROR_FILE_TOO_LARGE", 413)
NO_FILE = ErrorCode("ERROR_FILE_DOES_NOT_EXIST", 404, "There is no such file.")
BAD_RANGE = ErrorCode("ERROR_RANGE", 416, "The file has no such range.")
ANSWER_TOO_LARGE = ErrorCode("ERROR_ANSWER_TOO_LARGE", 413, "The answer is too large: use limit and offset.")

TOO_MANY_CONNECTIONS = ErrorCode("ERROR_TOO_MANY_CONNECTIONS", 429, "Too many connections. Come back later.")
TOO_MANY_ATTEMPTS = ErrorCode("ERROR_TOO_MANY_ATTEMPTS", 429, "Too many attempts. Come back later.")
TOO_MANY_MESSAGES = ErrorCode("ERROR_TOO_MANY_MESSAGES", 429, "Too many messages. Send fewer.")
TOO_MANY_UPLOADS = ErrorCode("ERROR_TOO_MANY_UPLOADS", 429, "Too many uploads at once. Come back later.")
BODY_TOO_SLOW = ErrorCode("ERROR_BODY_TOO_SLOW", 408, "The request body did not arrive in time.")

NO_SUCH_THING = ErrorCode("ERROR_NOT_FOUND", 404, "Not found.")
CONFLICT = ErrorCode("ERROR_CONFLICT", 409)


class CloseCode(IntEnum):
    """Close codes of sockets: when each is sent, and whether the client should come back."""

    GOODBYE = 1000  # contract: refused token, forced disconnect, ended endpoint; do not come back as you are
    PROTOCOL = 1002  # what came is not WebSocket (RFC 6455, 7.4.1, as the next two); repair the client
    NOT_TEXT = 1007  # a text frame that is not UTF-8
    TOO_BIG = 1009  # a message above the limit
    MALFORMED = 1008  # ten malformed frames within a minute, or one packet of Socket.IO; repair the client
    RESTART = 1012  # the server restarts or moves; come back
    ENDPOINT_REFUSED = 4000  # records: name, key, origin, access or token refused; the reason says which
    TOKEN = 4401  # token missing, refused or expired; get a new one, then come back
    ACCESS_ENDED = 4403  # the account or its access ended
    TOO_SLOW = 4408  # the reader is too slow; come back and recover
    RATE = 4429  # too many messages; come back later
