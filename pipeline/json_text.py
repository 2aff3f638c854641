"""Values as JSON that every reader takes."""

import json
import re
from typing import Any, Final

from pydantic import TypeAdapter

_ANYTHING: Final[TypeAdapter[Any]] = TypeAdapter(Any)


def json_text(value: Any) -> str:
    """Returns a value as indented JSON, in ASCII, which every stream can encode; NaN and the like become null."""
    text = _ANYTHING.dump_json(value, indent=2).decode()
    return re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], text)
