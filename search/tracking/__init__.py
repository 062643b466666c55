"""Every run is recorded with MLflow, without being asked, and never at the run's cost.

A run is a ``with``::

    with tracked("train", out.name, {"system": system, **asdict(settings)}, beside=out) as record:
        record.data(opened, data)
        ...                                             # the work
        record.epochs(trained.history)                  # or `record.metrics`, epoch by epoch, while it goes on
        record.scores(scores["test"], "test")
        record.artifact("test.csv", partial(write_csv, scores=scores["test"]))
        record.artifact("curve.png", draw)              # whatever writes a file, given where to
        record.model(out)

An error in it marks the run FAILED, Ctrl-C KILLED, and goes on upwards. All that the methods of `Record` are given
is taken along at once and written by a thread of its own, so the work waits for nothing but, at the end, the rest of
the writing. What fails there is told in one line on standard error when the ``with`` ends, and nothing else happens.

A study, or whatever has runs inside a run: a ``tracked`` inside the ``with`` of another becomes its child by itself,
as `search.runs.train` does when it is called there. In another thread or process say whose child it is::

    with tracked("search", "study", space, beside=out, run=known) as study:    # `known`: an earlier `study.id` to go
        hand_over(study.id)                                                    # on with, or None
        ...
    with tracked("trial", "trial 3", trial.params, beside=out, parent=handed_over) as record:      # in a worker
        remember(record.id)

`Record.id` is a string, or None where nothing is recorded; it may be kept anywhere, as in a study's attributes. It
waits for MLflow to be imported and the run to be there, a second or two the first time. Processes that record are
started by ``spawn``, not ``fork``. The run of a worker that was killed stays RUNNING until `Record.bury` is told its
id. Trials need no `Record.data` and no `Record.model`: the study has them.

Where: ``MLFLOW_TRACKING_URI`` if that is set, else SQLite and a folder of artifacts in ``chironomy-runs`` beside what
the run makes (`beside`). ``CHIRONOMY_TRACKING=off`` records nothing. MLflow is imported in this package alone, in the
background, with its telemetry off.
"""

from search.tracking.record import Record, tracked
from search.tracking.resuming import going_on

__all__ = ["Record", "going_on", "tracked"]
