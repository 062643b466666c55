"""The database of a study: opened, and what goes wrong with it told in one line."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from store.errors import InputError

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial
    from sqlalchemy.engine import URL

HEARTBEAT, GRACE = 5, 20  # seconds between signs of life, and without one until a trial is given to another worker
_RETRIES = 3  # of a trial whose worker died
_PRUNED_FROM = 6  # trials before any is given up
_PRUNED_AFTER = 50  # per cent of the first fold


def local_storage(file: Path) -> str:
    """Return the URL of a database in a file of this machine."""
    from sqlalchemy.engine import URL

    return URL.create("sqlite", database=str(file.resolve())).render_as_string()


def shown(storage: str) -> str:
    """Return a database's URL as it may be printed, without password."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(storage).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return f"{storage.partition('://')[0]}://..." if "://" in storage else storage


def open_study(storage: str, name: str, seed: int) -> "Study":
    """Open a study, or make it.

    Parameters
    ----------
    storage : str
        URL of a database, as ``sqlite:///FILE`` or ``postgresql://USER@HOST/NAME``.
    name : str
        What it is called there.
    seed : int
        Of the sampler. With several workers a study depends on who is faster, too.

    Raises
    ------
    InputError
        If the database cannot be opened, or holds something else of that name.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("sqlalchemy").setLevel(logging.CRITICAL)  # of what Ctrl-C interrupts
    with told(storage), warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # the heartbeat
        url = _url(storage)
        local = url.drivername.startswith("sqlite")
        database = optuna.storages.RDBStorage(
            url.render_as_string(hide_password=False),
            engine_kwargs={"connect_args": {"timeout": 60}} if local else {"pool_pre_ping": True},
            heartbeat_interval=HEARTBEAT,
            grace_period=GRACE,
            heartbeat_stale_trial_callback=retry(),
        )
        study = optuna.create_study(
            storage=database,
            study_name=name,
            direction="maximize",
            load_if_exists=True,
            sampler=optuna.samplers.TPESampler(seed=seed, group=True, multivariate=True),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_PRUNED_FROM, n_warmup_steps=_PRUNED_AFTER),
        )
        if study.direction != optuna.study.StudyDirection.MAXIMIZE:
            raise InputError(f"--storage {shown(storage)}: has another study {name!r}; choose another --out")
    return study


def retry() -> Callable[["Study", "FrozenTrial"], None]:
    """Return what puts a trial back into the queue."""
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=_RETRIES)


@contextmanager
def told(storage: str) -> Iterator[None]:
    """Tell in one line what a database refuses, while it is opened or used.

    Raises
    ------
    InputError
        For whatever the database raises.
    """
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

    try:
        yield
    except (ArgumentError, NoSuchModuleError) as error:
        raise InputError(f"--storage {shown(storage)}: is no URL of a database ({type(error).__name__})") from None
    except ImportError as error:
        if "DB access module" not in str(error):
            raise
        hint = "for PostgreSQL: pip install 'chironomy[postgres]'"
        raise InputError(f"--storage {shown(storage)}: its driver is not installed; {hint}") from None
    except (SQLAlchemyError, StorageInternalError, UnboundLocalError) as error:
        chain: list[BaseException] = [error]
        while (behind := chain[-1].__cause__ or chain[-1].__context__) is not None:
            chain.append(behind)
        if any(isinstance(each, KeyboardInterrupt) for each in chain):  # Ctrl-C in the middle of a question
            raise KeyboardInterrupt from None
        causes = [each for each in chain if isinstance(each, SQLAlchemyError)]
        # Optuna 5 stumbles over its own variable when the database is lost while it ends a trial.
        if isinstance(error, UnboundLocalError) and not causes:
            raise
        cause = causes[0] if causes else error
        reason = " ".join(str(getattr(cause, "orig", None) or cause).split())
        raise InputError(
            f"--storage {shown(storage)}: the database cannot be used ({reason:.200}); check it and the URL"
        ) from None
    except RuntimeError as error:
        if "optuna" not in str(error):
            raise
        raise InputError(
            f"--storage {shown(storage)}: is a database of something else, or of another version; name another"
        ) from None


def _url(storage: str) -> "URL":
    from sqlalchemy.engine import make_url

    try:
        url = make_url(storage)
    except ValueError as error:
        raise InputError(f"--storage {shown(storage)}: is no URL of a database ({error})") from None
    if url.drivername.startswith("sqlite") and url.database in (None, "", ":memory:"):
        raise InputError(f"--storage {storage}: names no file; give one, as sqlite:///study.sqlite3")
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")  # the driver that the extra `postgres` installs
    return url
