"""Values as JSON that every reader takes."""

from typing import Any, Final

from pydantic import TypeAdapter

_ANYTHING: Final[TypeAdapter[Any]] = TypeAdapter(Any)


def json_text(value: Any) -> str:
    """Returns a value as indented JSON; numbers that JSON has not, as NaN, become null."""
    return _ANYTHING.dump_json(value, indent=2).decode()
