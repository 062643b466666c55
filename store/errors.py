"""The one error that a user can mend."""


class InputError(ValueError):
    """Bad input: a file, a store or a model that cannot be used as it is.

    The message is one line that names the file, says what is wrong with it and what to do. The command
    line prints it and exits with status 1; it never shows a traceback for it.
    """
