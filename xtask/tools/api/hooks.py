"""What schemathesis does not know of itself."""

import itertools
import re

import schemathesis

_numbers = itertools.count()
_KEY = re.compile(r'"?([A-Za-z0-9._:~-]{1,100})"?')


@schemathesis.serializer("application/x-ndjson")
def ndjson(ctx, value):
    """Lines are text already; what is no text is one line, and wrong."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@schemathesis.hook
def before_call(context, case, kwargs):
    """A key names one request: the same one with another body is refused, as it should be, and is tested elsewhere."""
    for name, value in list((case.headers or {}).items()):
        if name.lower() == "idempotency-key" and isinstance(value, str):
            match = _KEY.fullmatch(value)
            if match:
                case.headers[name] = f"{match[1]}-{next(_numbers)}"
