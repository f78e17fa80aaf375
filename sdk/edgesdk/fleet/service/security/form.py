"""A form as a page sends it: small, UTF-8, each field once."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

from edgesdk.fleet.service.security.refusals import BadRequest

_TYPE = "application/x-www-form-urlencoded"
_MAX_FIELDS = 64


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields; none where the request has no form.

    Raises:
        BadRequest: it cannot be read.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _TYPE:
        return {}
    try:
        text = (await request.body()).decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError as error:
        raise BadRequest("This form cannot be read.") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise BadRequest("This form has a field twice.")
    return fields
