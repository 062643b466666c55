"""How splits are called: on the command line, in a model, and to `search.splits`."""

from store.errors import InputError

_WHOLE = ("blocked", "random", "paper-v1test", "leave-one-out")
SPLITS = ("blocked", "random", "paper-v1test", "leave-out:RECORDING", "leave-one-out", "cv:K")
FEWEST_FOLDS = 3  # to learn, tune and test on


def parse_split(name: str) -> tuple[str, str]:
    """Return a split's kind, and what stands behind the colon: a recording, or the number of folds.

    Raises
    ------
    InputError
        If there is no such split.
    """
    kind, separator, argument = name.partition(":")
    if kind == "cv" and separator:
        if not (argument.isascii() and argument.isdigit() and int(argument) >= FEWEST_FOLDS):
            raise InputError(f"{name}: the number of folds is {FEWEST_FOLDS} or more, as in cv:5")
    elif name not in _WHOLE and not (kind == "leave-out" and argument):
        raise InputError(f"no split is called {name!r}: there are {', '.join(SPLITS)}")
    return kind, argument
