"""Loads the settings of a bridge from a file and the environment, with the place of each error."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from data_bridge.catalog.files import SettingsText
from data_bridge.catalog.near_misses import did_you_mean
from data_bridge.settings import ENVIRONMENT_PREFIX, Settings, SettingsError, complaint_at
from data_bridge.yaml_documents import CatalogError, parse, read_text

_LARGEST_FILE = 1024 * 1024


def load_settings(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of a file (none: only defaults) and the environment; its relative paths begin at the file.

    `environment` replaces the process's own, for tests.

    Raises:
        SettingsError: the file or a value is unusable. No secret is part of the text.
    """
    values: dict[str, object] = {}
    source = SettingsText()
    if path is not None:
        try:
            source = SettingsText(path, read_text(path, _LARGEST_FILE))
            document = parse(source.text, path)
        except CatalogError as error:
            raise SettingsError(str(error)) from error
        if not isinstance(document, dict | None):
            raise SettingsError(f"{path}: must hold settings by name")
        values.update(document or {})
    saved = os.environ.copy()
    try:
        if environment is not None:
            os.environ.clear()
            os.environ.update(environment)
        given = {name.upper(): value for name, value in os.environ.items() if value}
        _check_sections(Settings, ENVIRONMENT_PREFIX, given)
        settings = Settings.model_validate(values)
    except ValidationError as error:
        complaints = error.errors(include_url=False, include_input=False, include_context=False)
        raise SettingsError("\n".join(_complaint(each, source, given) for each in complaints)) from None
    finally:
        if environment is not None:
            os.environ.clear()
            os.environ.update(saved)
    return _anchored(settings, path.parent if path is not None else Path()).read_from(source)


def _check_sections(model: type[BaseModel], prefix: str, given: Mapping[str, str]) -> None:
    """Refuse a section that is given as a whole in one environment variable and is no JSON object.

    Raises:
        SettingsError: with the variable and its form.
    """
    for name, field in model.model_fields.items():
        section = field.annotation
        if not isinstance(section, type) or not issubclass(section, BaseModel):
            continue
        variable = f"{prefix}{name}".upper()
        _check_sections(section, f"{variable}_", given)
        if variable not in given:
            continue
        try:
            document = json.loads(given[variable])
        except json.JSONDecodeError:
            document = None
        if not isinstance(document, dict):
            raise SettingsError(f"{variable}: {_section_text(model, section, variable)}")


def _section_text(model: type[BaseModel], section: type[BaseModel], variable: str) -> str:
    if model is not Settings:
        name, field = next(iter(section.model_fields.items()))
        return f"must be a JSON object such as {json.dumps({name: field.default})}"
    variables = ", ".join(f"{variable}_{name.upper()}" for name in section.model_fields)
    return f"must be a JSON object; each of its settings also has a variable of its own: {variables}"


def _complaint(error: ErrorDetails, source: SettingsText, given: Mapping[str, str]) -> str:
    """Return a complaint with the environment variable that caused it, or with its place in the file."""
    place = list(error["loc"])
    text = error["msg"].removeprefix("Value error, ")
    if not place:
        # Settings that contradict each other: the text names the one to change.
        name, _, text = text.partition(": ")
        place = [*name.split(".")]
    if error["type"] == "extra_forbidden":
        section: type[BaseModel] = Settings
        for step in place[:-1]:
            inner = section.model_fields[str(step)].annotation
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                section = inner
        whose = ".".join(map(str, place[:-1])) or "a bridge"
        near = did_you_mean(str(place[-1]), section.model_fields)
        text = f"there is no such setting; {whose} has {', '.join(section.model_fields)}{near}"
    # The longest name first: the more special variable wins.
    for length in range(len(place), 0, -1):
        variable = f"{ENVIRONMENT_PREFIX}{'_'.join(map(str, place[:length]))}".upper()
        if variable in given:
            return f"{'.'.join([variable, *map(str, place[length:])])}: {text}"
    return complaint_at(source, place, text)


def _anchored(settings: Settings, folder: Path) -> Settings:
    def anchor(path: Path | None) -> Path | None:
        return folder / path.expanduser() if path is not None else None

    return settings.model_copy(
        update={
            "data_directory": anchor(settings.data_directory),
            "health_file": anchor(settings.health_file),
            "catalogs": settings.catalogs.model_copy(
                update={"mappings": anchor(settings.catalogs.mappings), "devices": anchor(settings.catalogs.devices)}
            ),
            "broker": settings.broker.model_copy(
                update={
                    "password_file": anchor(settings.broker.password_file),
                    "tls": settings.broker.tls.model_copy(
                        update={
                            name: anchor(getattr(settings.broker.tls, name))
                            for name in ("ca_certs", "certfile", "keyfile")
                        }
                    ),
                }
            ),
            "dead_letters": settings.dead_letters.model_copy(update={"path": anchor(settings.dead_letters.path)}),
            "logging": settings.logging.model_copy(update={"file": anchor(settings.logging.file)}),
        }
    )
