"""Which entries of a Kubeflow Pipelines server a list request is for: filtered, sorted, page by page."""

import base64
import json
from collections.abc import Iterable
from typing import Any

from fake_kubeflow_messages import RefusalError, invalid

_DURING = "Failed to create list options"
_SORTING_FIELDS = ("created_at", "display_name", "name")
_DEFAULT_PAGE_SIZE = 20


def select(entries: Iterable[Any], query: dict[str, str], listed: str) -> tuple[list[Any], str | None, int]:
    """Returns the page of entries that a list request asks for, the next page's token, and how many there are.

    Args:
      entries: All there are.
      query: Of the request.
      listed: What the server calls an entry: `Run`.
    """
    selected = [entry for entry in entries if _matches(entry, query)]
    if query.get("sort_by"):
        field, _, direction = query["sort_by"].partition(" ")
        if field not in _SORTING_FIELDS:
            raise invalid(f'Invalid sorting field: "{field}" on listable type {listed}', _DURING)
        selected.sort(key=lambda entry: _value(entry, field), reverse=direction == "desc")
    first = _first(query.get("page_token") or "")
    size = int(query.get("page_size") or _DEFAULT_PAGE_SIZE)
    following = _token(first + size) if first + size < len(selected) else None
    return selected[first : first + size], following, len(selected)


def _token(first: int) -> str:
    return base64.b64encode(json.dumps({"first": first}).encode()).decode()


def _first(token: str) -> int:
    """Returns the position at which a page begins."""
    try:
        return int(json.loads(base64.b64decode(token, validate=True))["first"]) if token else 0
    except (ValueError, KeyError, TypeError) as error:
        detail = "Invalid page token"
        raise RefusalError(400, 3, f"{_DURING}: InvalidInputError: {detail}: {error}", detail) from error


def _matches(entry: Any, query: dict[str, str]) -> bool:
    if query.get("experiment_id") and entry.experiment_id != query["experiment_id"]:
        return False
    if query.get("namespace") and getattr(entry, "namespace", query["namespace"]) != query["namespace"]:
        return False
    predicates = json.loads(query["filter"])["predicates"] if query.get("filter") else []
    for predicate in predicates:
        wanted = predicate.get("string_value", predicate.get("stringValue"))
        if set(predicate) - {"operation", "key", "string_value", "stringValue"} or predicate["operation"] != "EQUALS":
            raise invalid(f"this filter is not supported: {predicate}", _DURING)
        if _value(entry, predicate["key"]) != wanted:
            return False
    return True


def _value(entry: Any, field: str) -> Any:
    """Returns a field of an entry; `name` is the name that is shown where an entry has no other."""
    if field == "name":
        return getattr(entry, "name", None) or entry.display_name
    return getattr(entry, field)
