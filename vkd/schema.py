"""What an option may be: the rules by which options of methods and keys of suite files are checked, and the sentences that say so."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import UserError, choice, nearest


@dataclass(frozen=True)
class Rule:
    """What a value must be. ``wanted`` completes the sentence "give …"; of ``names`` the sentence gives the nearest instead."""

    holds: Callable[[Any], bool]
    wanted: str
    names: tuple[str, ...] = ()


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


ANY = Rule(lambda v: True, 'anything')
NUMBER = Rule(_number, 'a number')
WEIGHT = Rule(lambda v: _number(v) and v >= 0, 'a number from 0')
POSITIVE = Rule(lambda v: _number(v) and v > 0, 'a number above 0')
SHARE = Rule(lambda v: _number(v) and 0 <= v <= 1, 'a share from 0 to 1')
SHARE_BELOW_1 = Rule(lambda v: _number(v) and 0 <= v < 1, 'a share from 0 to below 1')
WHOLE = Rule(lambda v: _whole(v) and v >= 0, 'a whole number from 0')
COUNT = Rule(lambda v: _whole(v) and v >= 1, 'a whole number from 1')
FLAG = Rule(lambda v: isinstance(v, bool), 'True or False')
TEXT = Rule(lambda v: isinstance(v, str) and bool(v.strip()) and v.isprintable(), 'a text of one line')
OPTIONS = Rule(lambda v: isinstance(v, Mapping) and all(isinstance(k, str) for k in v), 'a dict of dotted options')


def one_of(*known: Any) -> Rule:
    """One of a few values; the sentence lists them."""
    return Rule(lambda v: any(v == k and isinstance(v, type(k)) for k in known), f'one of {", ".join(map(repr, known))}')


def name_of(known: Iterable[str]) -> Rule:
    """One of a few names; the sentence says which of them is nearest to what was given."""
    names = tuple(known)
    return Rule(lambda v: isinstance(v, str) and v in names, f'one of {", ".join(map(repr, names))}', names)


def optional(rule: Rule) -> Rule:
    """``rule``, or None."""
    return Rule(lambda v: v is None or rule.holds(v), f'{rule.wanted}, or None')


def list_of(rule: Rule, least: int = 1, wanted: str | None = None) -> Rule:
    """A list or tuple of ``least`` values or more that ``rule`` takes."""
    return Rule(
        lambda v: isinstance(v, (list, tuple)) and len(v) >= least and all(map(rule.holds, v)),
        wanted or f'a list of which each is {rule.wanted}',
    )


def dict_of(rule: Rule, wanted: str | None = None) -> Rule:
    """A dict of names to values that ``rule`` takes."""
    return Rule(
        lambda v: isinstance(v, Mapping) and all(isinstance(k, str) and rule.holds(x) for k, x in v.items()),
        wanted or f'a dict of which each value is {rule.wanted}',
    )


def either(*rules: Rule) -> Rule:
    """What any of ``rules`` takes."""
    return Rule(lambda v: any(rule.holds(v) for rule in rules), ' or '.join(rule.wanted for rule in rules))


def check_value(owner: str, name: str, value: Any, rule: Rule) -> Any:
    """``value``, the option ``name`` of ``owner``. Raises UserError, which says what was found and what to give, where ``rule`` refuses it."""
    if not rule.holds(value):
        if rule.names:
            choice(owner, name, value, rule.names)
        raise UserError(f'{owner}: {name} is {value!r}; give {rule.wanted}.', code='bad-value')
    return value


def check_options(owner: str, given: Any, rules: Mapping[str, Rule], required: tuple[str, ...] = ()) -> None:
    """Checks a dict of options against ``rules``, ``{name: Rule}``.

    Raises:
        UserError: where ``given`` is no dict, has a key that no rule names (with the nearest names), lacks one of ``required``, or holds a
            value that its rule refuses.
    """
    if not isinstance(given, Mapping):
        raise UserError(f'{owner} is {given!r}; give a dict with {", ".join(required or rules)}.', code='bad-value')
    for name in given:
        if name not in rules:
            raise UserError(f'{owner}: unknown key {name!r}; {nearest(name, rules)}.', code='unknown-key')
    for name in required:
        if name not in given:
            raise UserError(f'{owner} has no {name!r}; add it: {rules[name].wanted}.', code='missing-key')
    for name, value in given.items():
        check_value(owner, name, value, rules[name])
