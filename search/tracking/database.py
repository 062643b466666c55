"""Making MLflow's database in a file, so that it is whole or not there."""

from pathlib import Path

from filelock import FileLock

_SECONDS = 50.0  # that another process may take to make it
_PREFIX = "sqlite:///"


def make_database(uri: str, artifacts: str | None) -> None:
    """Make the database of an SQLite address unless it is there; other addresses are left alone.

    MLflow makes its tables in some forty steps without a lock: two processes at once, or a kill half-way, leave a
    database that nobody can use any more. So one process makes it beside, and renames it.

    Parameters
    ----------
    uri : str
        As MLflow takes it.
    artifacts : str, optional
        Where experiments keep their files unless told otherwise; MLflow's own default if not given.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    path = Path(uri.removeprefix(_PREFIX))
    if not uri.startswith(_PREFIX) or "?" in uri or not path.name or path.exists():
        return
    from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    with FileLock(lock, timeout=_SECONDS):
        if not path.exists():
            fresh = path.with_name(f".{path.name}.new")
            for left in fresh.parent.glob(f"{fresh.name}*"):  # by one who was killed
                left.unlink()
            store = SqlAlchemyStore(f"{_PREFIX}{fresh}", artifacts or DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH)
            store.engine.dispose()
            fresh.replace(path)
    lock.unlink(missing_ok=True)
