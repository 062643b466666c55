"""A study: trials one after the other, or by several processes, kept in a database.

What is kept is kept by Optuna, trial by trial: a study that was stopped goes on with the same command, several
processes and machines may work on one, and the trial of a worker that was killed is noticed by its missing heartbeat
and tried again.
"""

import multiprocessing
import signal
import time
import warnings
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from extract.engines import set_up_worker
from heads.settings import Settings, settings_for
from search.studies.trials import NAMED, Question, Trials
from store.errors import InputError
from store.progress import progress

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue

    from optuna import Study
    from optuna.trial import FrozenTrial

HEARTBEAT, GRACE = 5, 20  # seconds between signs of life, and without one until a trial is given to another worker
_RETRIES = 3  # of a trial whose worker died
_PRUNED_FROM = 6  # trials before any is given up
_PRUNED_AFTER = 50  # per cent of the first fold
_POLL = 0.5  # seconds
_IDENTITY = "identity"


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
        If the database cannot be opened.
    """
    import optuna
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        url = make_url(storage)
        if url.drivername in ("postgres", "postgresql"):
            url = url.set(drivername="postgresql+psycopg")  # the driver that the extra `postgres` installs
        shown, local = url.render_as_string(hide_password=True), url.drivername.startswith("sqlite")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # the heartbeat
            database = optuna.storages.RDBStorage(
                url.render_as_string(hide_password=False),
                engine_kwargs={"connect_args": {"timeout": 60}} if local else {"pool_pre_ping": True},
                heartbeat_interval=HEARTBEAT,
                grace_period=GRACE,
                heartbeat_stale_trial_callback=_retry(),
            )
            return optuna.create_study(
                storage=database,
                study_name=name,
                direction="maximize",
                load_if_exists=True,
                sampler=optuna.samplers.TPESampler(seed=seed, group=True, multivariate=True),
                pruner=optuna.pruners.MedianPruner(n_startup_trials=_PRUNED_FROM, n_warmup_steps=_PRUNED_AFTER),
            )
    except (ArgumentError, NoSuchModuleError) as error:
        raise InputError(f"--storage {storage}: is no URL of a database ({error})") from None
    except ImportError:
        raise InputError(f"--storage {shown}: its driver is missing; pip install 'chironomy[postgres]'") from None
    except SQLAlchemyError as error:
        reason = " ".join(str(getattr(error, "orig", None) or error).split())
        raise InputError(
            f"--storage {shown}: the database cannot be used ({reason:.200}); check it and the URL"
        ) from None


def prepare(study: "Study", question: Question, identity: str, place: str) -> list[str]:
    """Make a study's first trials those of the defaults and of the paper, and take up what was stopped.

    Parameters
    ----------
    study : Study
        New, or one to be gone on with.
    question : Question
        What is looked for.
    identity : str
        Of `Trials`.
    place : str
        What the study is called in messages.

    Returns
    -------
    list of str
        Notes for the user.

    Raises
    ------
    InputError
        If the study is of other data, or looks for something else.
    """
    known = study.user_attrs.get(_IDENTITY)
    if known not in (None, identity):
        raise InputError(
            f"{place}: a study of other recordings, annotations, settings or space; choose another --out, or remove it"
        )
    notes = []
    if known is None:
        study.set_user_attr(_IDENTITY, identity)
        presets = {"default": (question.system, question.settings), "paper": ("sm+bb+ts", _paper(question.settings))}
        for name, (system, settings) in presets.items():
            chosen = question.space.of(system, settings)
            if chosen is None:
                notes.append(f"the {name} settings lie outside the space and are not tried")
            else:
                study.enqueue_trial(chosen, user_attrs={NAMED: name}, skip_if_exists=True)
    for trial in failed(study):
        _retry()(study, trial)
    return notes


def failed(study: "Study") -> list["FrozenTrial"]:
    """Return the trials that failed and were not taken up again."""
    from optuna.trial import TrialState

    trials = study.get_trials(deepcopy=False)
    retried = {number for trial in trials for number in trial.system_attrs.get("retry_history", ())}
    return [trial for trial in trials if trial.state == TrialState.FAIL and trial.number not in retried]


def run(study: "Study", wanted: int, trials: Trials) -> None:
    """Carry out trials in this process, until so many are done.

    Parameters
    ----------
    study : Study
        Which.
    wanted : int
        Trials in all, those given up for being worse than others included.
    trials : Trials
        What carries them out.
    """
    with progress("searching", wanted, "trials") as advance:
        advance(_done(study), note=describe_best(study))

        def after(study: "Study", trial: "FrozenTrial") -> None:
            advance(1, note=describe_best(study))
            _stop_if_done(study, wanted)

        while _left(study, wanted):
            study.optimize(trials, callbacks=[after])
            _notice_the_dead(study)


def run_workers(study: "Study", wanted: int, jobs: int, worker: Callable[[int, int], None]) -> None:
    """Carry out trials in several processes, until so many are done.

    Parameters
    ----------
    study : Study
        Which.
    wanted : int
        Trials in all.
    jobs : int
        How many processes.
    worker : callable
        What each does; called in a fresh process with its number and the trials wanted. It has to be picklable.

    Raises
    ------
    InputError
        If the workers end though nothing was done.
    """
    context = multiprocessing.get_context("spawn")
    shown = 0
    with progress("searching", wanted, "trials") as advance:
        while _left(study, wanted):
            before, problems = _done(study), context.SimpleQueue()
            given = [(number, jobs, wanted, worker, problems) for number in range(jobs)]
            processes = [context.Process(target=_work, args=each) for each in given]
            try:
                for process in processes:
                    process.start()
                while any(process.is_alive() for process in processes):
                    time.sleep(_POLL)
                    done = _done(study)
                    advance(done - shown, note=describe_best(study))
                    shown = done
            except BaseException:
                for process in processes:
                    process.terminate()
                for process in processes:
                    process.join()
                raise
            _notice_the_dead(study)
            if _done(study) == before:
                raise InputError("the search's workers ended early" if problems.empty() else problems.get())


def describe_best(study: "Study") -> str:
    """Return in words how well the best trial so far does."""
    from optuna.trial import TrialState

    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    value, number = max(((trial.value or 0.0, trial.number) for trial in complete), default=(0.0, None))
    return "" if number is None else f"best {value:.3f} (trial {number})"


def _work(
    number: int, jobs: int, wanted: int, worker: Callable[[int, int], None], problems: "SimpleQueue[str]"
) -> None:
    set_up_worker(jobs)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the trial in hand is given back
    try:
        worker(number, wanted)
    except InputError as error:
        problems.put(str(error))
    except KeyboardInterrupt:
        pass


def carry_out(study: "Study", wanted: int, trials: Trials) -> None:
    """Carry out trials until so many are done, others' at work on the same study counted."""
    if _left(study, wanted):
        study.optimize(trials, callbacks=[lambda study, _: _stop_if_done(study, wanted)])


def _stop_if_done(study: "Study", wanted: int) -> None:
    if not _left(study, wanted):
        study.stop()


def _left(study: "Study", wanted: int) -> bool:
    """Return whether there is a trial to begin: one that waits, or one that nobody is at."""
    from optuna.trial import TrialState

    states = Counter(trial.state for trial in study.get_trials(deepcopy=False))
    taken = states[TrialState.COMPLETE] + states[TrialState.PRUNED] + states[TrialState.RUNNING]
    return states[TrialState.WAITING] > 0 or taken < wanted


def _done(study: "Study") -> int:
    from optuna.trial import TrialState

    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)))


def _notice_the_dead(study: "Study") -> None:
    """Wait until it is known which of the trials still running have no worker any more; they are to be done again.

    Those that go on after that are others', on another machine perhaps.
    """
    import optuna

    until = time.monotonic() + GRACE + 2 * HEARTBEAT
    while time.monotonic() < until:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            optuna.storages.fail_stale_trials(study)
        if not study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
            return
        time.sleep(_POLL)


def _retry() -> Callable[["Study", "FrozenTrial"], None]:
    """Return what puts a trial back into the queue."""
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=_RETRIES)


def _paper(settings: Settings) -> Settings:
    """Return the paper's settings, as long and on the same ground as the others are tried."""
    kept = {name: getattr(settings, name) for name in ("epochs", "patience", "seed", "clip_rule")}
    return settings_for("paper", settings.tune, **kept)
