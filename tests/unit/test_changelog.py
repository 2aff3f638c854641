"""The changelog tells the story of the version that the package has."""

import re
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_newest_entry_is_the_version_of_the_package():
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (?:\d{4}-\d{2}-\d{2}|Unreleased)$", _changelog(), re.MULTILINE)
    assert versions[0] == version


def test_only_the_newest_entry_may_be_unreleased():
    headings = re.findall(r"^## .*$", _changelog(), re.MULTILINE)
    assert not [heading for heading in headings[1:] if heading.endswith("Unreleased")]


def _changelog() -> str:
    return (REPOSITORY / "CHANGELOG.md").read_text()
