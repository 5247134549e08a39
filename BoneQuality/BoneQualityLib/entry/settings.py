"""What may be set for a case besides its images: facts and method, by the names that a person writes, and texts as their values."""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache
from types import NoneType, UnionType
from typing import Union, get_args, get_origin, get_type_hints

from ..errors import BoneQualityError
from ..parameters import LEVELS, CaseFacts, Parameters

#: Options whose name is not that of the field.
_OPTION_NAMES = {"excluded": "exclude"}


def option_name(field_name: str) -> str:
    """The name of a field of CaseFacts or Parameters as a column; the option's has hyphens instead."""
    return _OPTION_NAMES.get(field_name, field_name).removesuffix("_mm")


#: Column -> the dataclass and its field, of everything that may be set for a case.
SETTINGS = {option_name(item.name): (owner, item) for owner in (CaseFacts, Parameters) for item in fields(owner)}


@lru_cache
def types_of(owner: type) -> dict[str, type]:
    """The type of every field of a dataclass, such as float or tuple; of one that may be None its other type."""
    return {name: _plain(hint) for name, hint in get_type_hints(owner).items()}


def _plain(hint) -> type:
    if get_origin(hint) in (Union, UnionType):
        hint = next(part for part in get_args(hint) if part is not NoneType)
    return get_origin(hint) or hint


def value_of(kind: type, text: str):
    """What a text stands for as a value of a type of `types_of`; raises BoneQualityError where it is none."""
    if kind is bool:
        if text.lower() not in ("yes", "no"):
            raise BoneQualityError("{text!r} is neither yes nor no", text=text)
        return text.lower() == "yes"
    if kind is tuple:
        levels = tuple(part.strip().upper() for part in text.split(",") if part.strip())
        for level in levels:
            if level not in LEVELS:
                raise BoneQualityError("{level!r} is no level; write for example L2,L3", level=level)
        return levels
    if kind is float:
        try:
            return float(text)
        except ValueError:
            raise BoneQualityError("{text!r} is no number", text=text) from None
    return text


@lru_cache(maxsize=4096)
def setting_of(column: str, text: str):
    """A setting's value, checked by the dataclass that it belongs to; manifests repeat them from row to row."""
    owner, item = SETTINGS[column]
    value = value_of(types_of(owner)[item.name], text.replace(";", ","))
    owner(**({"case_id": "x"} if owner is CaseFacts else {}) | {item.name: value})
    return value
