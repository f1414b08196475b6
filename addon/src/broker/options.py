"""The app's options, as a person set them in Home Assistant and the Supervisor wrote them to a file."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, ValidationError, model_validator

# Users of the app itself; nobody else may have their names.
BRIDGE_USER = "bridge"
HEALTHCHECK_USER = "healthcheck"
INTERNAL_USERS = (BRIDGE_USER, HEALTHCHECK_USER)

_NAME = r"^[A-Za-z0-9_-]{1,64}$"

type LogLevel = Literal["debug", "info", "warning", "error"]


class OptionsError(ValueError):
    """The options cannot be used; the text says which one and why, and holds no value of any of them."""


class _Options(BaseModel):
    # The Supervisor leaves keys of an older version in the file.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class User(_Options):
    """Somebody who may connect to the broker."""

    username: Annotated[str, StringConstraints(pattern=_NAME)]
    password: Annotated[SecretStr, StringConstraints(min_length=1, max_length=1024)]


class Options(_Options):
    """Everything that the app's manifest offers, see config.yaml beside this distribution."""

    users: tuple[User, ...]
    bridge_id: Annotated[str, StringConstraints(pattern=_NAME)]
    bridge_name: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,64}$")]
    ingress_topics: Annotated[tuple[str, ...], Field(min_length=1)]
    log_level: LogLevel

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        seen = set(INTERNAL_USERS)
        for user in self.users:
            if user.username in seen:
                reason = "is the app's own" if user.username in INTERNAL_USERS else "is there twice"
                raise ValueError(f"the user name {user.username} {reason}; choose another")
            seen.add(user.username)
        return self


def read_options(path: Path) -> Options:
    """Read the file that the Supervisor writes at every start of the app, in JSON.

    Raises:
        OptionsError: the file cannot be read, or an option is missing or not allowed.
    """
    try:
        return Options.model_validate_json(path.read_bytes())
    except OSError as error:
        raise OptionsError(f"the app's options in {path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        found = [f"{'.'.join(map(str, one['loc'])) or 'options'}: {one['msg']}" for one in error.errors()]
    # Outside the handler: the exception below is printed, and its context would hold the values.
    raise OptionsError("the app's options cannot be used: " + "; ".join(found))
