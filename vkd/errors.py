"""The one exception that a user is meant to read, and help with misspelt names."""

from difflib import get_close_matches


class UserError(ValueError):
    """Something in a config, file or command is wrong; the message is one sentence that names it and the mend."""


def nearest(name, names, n=3):
    """A clause that lists the names nearest to ``name``, or all when there are few and none is near."""
    names = [str(x) for x in names]
    close = get_close_matches(str(name), names, n=n, cutoff=0.4)
    if not close:
        close = names[:n] if len(names) > 8 else names
    return f'nearest: {", ".join(repr(c) for c in close)}' if close else 'there are no names to choose from'


def sentence(error):
    """The sentence of a UserError; a worker process of a data loader hands on its own with a traceback before it."""
    return str(error).rstrip().splitlines()[-1].removeprefix('vkd.errors.UserError: ')


def choice(owner, name, value, known):
    """``value``, the option ``name`` of ``owner``. Raises UserError, with the nearest, unless it is in ``known``."""
    if value not in list(known):
        raise UserError(f'{owner}: {name} {value!r} is unknown; {nearest(value, known)}.')
    return value


def expect(holds, owner, name, value, wanted):
    """Raises UserError unless ``holds``: the option ``name`` of ``owner`` is ``value``, but must be ``wanted``."""
    if not holds:
        raise UserError(f'{owner}: {name} is {value!r}; give {wanted}.')
