"""The secrets of a notification: the URL of a webhook, the password of a mail account.

They come from the environment: from the variable that the settings name, or from the file that the same variable with
`_FILE` behind its name holds the path of. No scheduler of this machine hands secrets on, so there it is the file.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from pipeline.config.notification import NotificationConfig
from trainer_module.errors import ConfigError

FILE_SUFFIX: Final = "_FILE"
_SHORTEST: Final = 4
"""Of a part of a secret that is taken out of a text; shorter ones are in every text."""


def secret(variable: str, environment: Mapping[str, str]) -> str:
    """Returns a secret, without white space around it.

    Args:
      variable: Name of the variable that holds it.
      environment: All variables.

    Raises:
      ConfigError: It is not there.
    """
    value = environment.get(variable, "").strip()
    if value:
        return value
    file = environment.get(variable + FILE_SUFFIX)
    if not file:
        raise ConfigError(
            f"the environment variable {variable} is not set, nor {variable + FILE_SUFFIX} to the path of a file that "
            "holds the secret"
        )
    try:
        value = Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"{variable + FILE_SUFFIX} names {file!r}, which cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{variable + FILE_SUFFIX} names {file!r}, which is no UTF-8 text") from None
    if not value:
        raise ConfigError(f"{variable + FILE_SUFFIX} names {file!r}, which is empty")
    return value


def webhook_url(settings: NotificationConfig, environment: Mapping[str, str]) -> str:
    """Returns the URL of the webhook.

    Raises:
      ConfigError: It is not there, or is no URL; what it is instead is not repeated.
    """
    variable = settings.webhook_variable
    url = secret(variable, environment)
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or not url.isprintable() or " " in url:
        raise ConfigError(f"what {variable} holds is no URL of a webhook, such as https://hooks.slack.com/services/…")
    return url


def missing_secrets(settings: NotificationConfig, environment: Mapping[str, str]) -> list[str]:
    """Returns what keeps the channels from being used in an environment, one sentence each without its full stop."""
    missing = []
    for setting, variable in settings.secret_variables.items():
        try:
            if setting == "notification.webhook":
                webhook_url(settings, environment)
            else:
                secret(variable, environment)
        except ConfigError as error:
            missing.append(f"{setting} is set, but {error}")
    return missing


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """Returns a text in which secrets, and parts of URLs that are secrets, are `***`.

    >>> without_secrets("no /services/T0/B0/abcd at hooks.test", ["https://hooks.test/services/T0/B0/abcd"])
    'no *** at hooks.test'
    """
    parts: set[str] = set()
    for each in secrets:
        parts |= {each, quote(each), quote(each, safe="")}
        if each.startswith(("http://", "https://")):
            path = each.partition("://")[2].partition("/")[2]
            parts |= {f"/{path}", path, *path.replace("?", "/").replace("&", "/").replace("=", "/").split("/")}
            parts.add(urlsplit(each).password or "")
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= _SHORTEST:
            text = text.replace(part, "***")
    return text
