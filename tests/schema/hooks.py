"""What schemathesis must not ask of an HTTP server."""

import schemathesis

# The name under which it sends a header that the description does not know.
UNKNOWN_HEADER = "x-schemathesis-unknown-property"


@schemathesis.hook
def filter_case(context, case):
    """Headers that nobody knows are passed over (RFC 9110, 5.1), so one makes no request invalid.

    Unknown names in a query are sent all the same: these are refused.
    """
    return all(name.lower() != UNKNOWN_HEADER for name in case.headers or {})
