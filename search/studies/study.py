"""A study: trials one after the other, or by several processes, kept in a database.

What is kept is kept by Optuna, trial by trial: a study that was stopped goes on with the same command, several
processes and machines may work on one, and the trial of a worker that was killed is noticed by its missing heartbeat
and tried again.
"""

import multiprocessing
import signal
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from extract.engines import set_up_worker
from heads.settings import Settings, settings_for
from search.studies import database
from search.studies.database import retry
from search.studies.trials import NAMED, RAISED, Question, Trials
from store.errors import InputError
from store.progress import Advance, progress

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue

    from optuna import Study
    from optuna.trial import FrozenTrial

_POLL = 0.5  # seconds
_IDENTITY = "identity"


def prepare(study: "Study", question: Question, identity: str, place: str, wanted: int) -> list[str]:
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
    wanted : int
        Trials in all; of only one, the defaults come first.

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
            f"{place}: a study of other recordings, annotations, settings, metric, folds or space; "
            "choose another --out, or remove it"
        )
    study.set_user_attr(_IDENTITY, identity)
    notes = []
    presets = {"default": (question.system, question.settings), "paper": ("sm+bb+ts", _paper(question.settings))}
    tried = {trial.user_attrs.get(NAMED) for trial in study.get_trials(deepcopy=False)}
    for name, (system, settings) in presets.items():
        chosen = question.space.of(system, settings)
        if chosen is None and known is None:
            notes.append(f"the {name} settings lie outside the space and are not tried")
        elif chosen is not None and name not in tried and len(study.get_trials(deepcopy=False)) < wanted:
            study.enqueue_trial(chosen, user_attrs={NAMED: name}, skip_if_exists=True)
    for trial in failed(study):
        retry()(study, trial)
    return notes


def failed(study: "Study") -> list["FrozenTrial"]:
    """Return the trials that were stopped and not taken up again; those that failed by themselves are left."""
    from optuna.trial import TrialState

    trials = study.get_trials(deepcopy=False)
    retried = {number for trial in trials for number in trial.system_attrs.get("retry_history", ())}
    return [
        trial
        for trial in trials
        if trial.state == TrialState.FAIL and trial.number not in retried and RAISED not in trial.user_attrs
    ]


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
        bar = _Bar(study, advance)

        def after(study: "Study", _: "FrozenTrial") -> None:
            bar.show()
            _stop_if_done(study, wanted)

        while _more(study, wanted):
            study.optimize(trials, callbacks=[after])


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
        If something goes wrong in a worker, or they end though nothing was done.
    """
    with progress("searching", wanted, "trials") as advance:
        bar = _Bar(study, advance)
        while _more(study, wanted):
            before = _done(study)
            problem = _round(wanted, jobs, worker, bar)
            if problem is not None:
                raise InputError(f"{problem}; what is done is kept, and gone on from by the same command")
            _notice_the_dead(study)
            if _done(study) == before:
                raise InputError("the search's workers were killed before they had done anything; is memory short?")


def _round(wanted: int, jobs: int, worker: Callable[[int, int], None], bar: "_Bar") -> str | None:
    """Let workers work until all have ended; return what went wrong in the first that failed."""
    context = multiprocessing.get_context("spawn")
    problems = context.SimpleQueue()
    processes = []
    try:
        with _uninterrupted():  # in which they are started, and which they take over: the parent deals with Ctrl-C
            for number in range(jobs):
                process = context.Process(target=_work, args=(number, jobs, wanted, worker, problems))
                process.start()
                processes.append(process)
        while any(process.is_alive() for process in processes):
            time.sleep(_POLL)
            bar.show()
    except BaseException:
        for process in processes:
            process.terminate()
        raise
    finally:
        for process in processes:
            process.join()
    return None if problems.empty() else problems.get()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # where signals arrive in another
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _work(
    number: int, jobs: int, wanted: int, worker: Callable[[int, int], None], problems: "SimpleQueue[str]"
) -> None:
    set_up_worker(jobs)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the trial in hand is given back
    try:
        worker(number, wanted)
    except KeyboardInterrupt:
        pass
    except InputError as error:
        problems.put(str(error))
    except Exception as error:
        problems.put(f"a trial failed ({type(error).__name__}: {' '.join(str(error).split()):.200})")


def carry_out(study: "Study", wanted: int, trials: Trials) -> None:
    """Carry out trials until so many are done, others' at work on the same study counted."""
    if _left(study, wanted):
        study.optimize(trials, callbacks=[lambda study, _: _stop_if_done(study, wanted)])


class _Bar:
    """Shows how many trials of a study are done, whoever did them."""

    def __init__(self, study: "Study", advance: Advance):
        self._study, self._advance, self._shown = study, advance, 0
        self.show()

    def show(self) -> None:
        """Bring it up to date."""
        done = _done(self._study)
        self._advance(done - self._shown, note=_describe_best(self._study))
        self._shown = done


def _describe_best(study: "Study") -> str:
    from optuna.trial import TrialState

    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not complete:
        return ""
    best = study.best_trial
    return f"best {best.value:.3f} (trial {best.number})"


def _more(study: "Study", wanted: int) -> bool:
    """Return whether there is a trial to begin, that of a worker included which turns out to be dead."""
    if not _left(study, wanted):
        _notice_the_dead(study)
    return _left(study, wanted)


def _stop_if_done(study: "Study", wanted: int) -> None:
    if not _left(study, wanted):
        study.stop()


def _left(study: "Study", wanted: int) -> bool:
    """Return whether there is a trial to begin; one that waits comes before a new one."""
    from optuna.trial import TrialState

    states = Counter(trial.state for trial in study.get_trials(deepcopy=False))
    taken = states[TrialState.COMPLETE] + states[TrialState.PRUNED] + states[TrialState.RUNNING]
    return taken < wanted


def _done(study: "Study") -> int:
    from optuna.trial import TrialState

    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)))


def _notice_the_dead(study: "Study") -> None:
    """Wait until it is known which of the trials still running have no worker any more; they are to be done again.

    Those that go on after that are others', on another machine perhaps.
    """
    import optuna

    until = time.monotonic() + database.GRACE + 2 * database.HEARTBEAT
    while time.monotonic() < until:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            optuna.storages.fail_stale_trials(study)
        if not study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
            return
        time.sleep(_POLL)


def _paper(settings: Settings) -> Settings:
    """Return the paper's settings, as long and on the same ground as the others are tried."""
    kept = {name: getattr(settings, name) for name in ("epochs", "patience", "seed", "clip_rule")}
    return settings_for("paper", settings.tune, **kept)
