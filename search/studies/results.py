"""What came of a study: the best settings, what mattered, tables and figures."""

import csv
import io
import json
import warnings
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heads.settings import Settings
from search.studies.trials import NAMED, RUN, Question
from store.errors import InputError
from store.files import write_atomically

if TYPE_CHECKING:
    from optuna import Study

_PLOTS = ("optimization_history", "intermediate_values", "slice", "parallel_coordinate", "edf")
_TELLING = 10  # complete trials from which on they tell what mattered


def chosen_settings(study: "Study", question: Question) -> tuple[str, Settings]:
    """Return the system and the settings of the best trial.

    Raises
    ------
    InputError
        If no trial was carried out to its end.
    """
    from optuna.trial import FixedTrial

    if not _complete(study):
        raise InputError("no setting could be trained to the end; give the search another --space")
    return question.space.ask(FixedTrial(study.best_params), question.system, question.settings)  # type: ignore[arg-type]


def given_up(study: "Study") -> list[str]:
    """Return the ids of the recorded runs of trials whose worker is gone."""
    failed = (trial for trial in study.get_trials(deepcopy=False) if trial.state.name == "FAIL")
    return [trial.user_attrs[RUN] for trial in failed if trial.user_attrs.get(RUN) is not None]


def describe_study(study: "Study", metric: str) -> dict[str, Any]:
    """Return what a study found, JSON-ready: the best trial, those of known settings, and what mattered."""
    trials = study.get_trials(deepcopy=False)
    named = {trial.user_attrs[NAMED]: trial.value for trial in _complete(study) if NAMED in trial.user_attrs}
    return {
        "study": study.study_name,
        "metric": metric,
        "trials": dict(Counter(trial.state.name.lower() for trial in trials)),
        "best": study.best_value,
        "best_trial": study.best_trial.number,
        "best_settings": study.best_params,
        "known_settings": named,
        "importances": _importances(study),
    }


def write_study(study: "Study", found: dict[str, Any], folder: Path) -> None:
    """Write what a study found into a folder: ``result.json``, ``trials.csv``, ``importances.csv``, figures.

    Raises
    ------
    InputError
        If they cannot be written.
    """
    write_atomically(folder / "result.json", json.dumps(found, indent=2, ensure_ascii=False).encode())
    trials = study.get_trials(deepcopy=False)
    names = sorted({name for trial in trials for name in trial.params})
    rows = [
        [trial.number, trial.state.name, trial.value, trial.user_attrs.get(NAMED), _seconds(trial)]
        + [trial.params.get(name) for name in names]
        for trial in trials
    ]
    _write_csv(folder / "trials.csv", [["trial", "state", "value", "setting", "seconds", *names], *rows])
    _write_csv(folder / "importances.csv", [["setting", "importance"], *found["importances"].items()])
    _draw(study, folder)


def _complete(study: "Study") -> list[Any]:
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _importances(study: "Study") -> dict[str, float]:
    """Return how much each setting matters (functional ANOVA over the trials); none where too few tell."""
    import optuna

    if len(_complete(study)) < _TELLING:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = optuna.importance.get_param_importances(study, evaluator=_evaluator())
        except (ValueError, RuntimeError):  # all of one value
            return {}
    return {name: float(value) for name, value in found.items()}


def _evaluator() -> Any:
    """Return functional ANOVA; Optuna's own choice looks at the best tenth alone, of twenty trials at two."""
    import optuna

    return optuna.importance.FanovaImportanceEvaluator(seed=0)


def _draw(study: "Study", folder: Path) -> None:
    """Draw Optuna's own figures; one that cannot be drawn of so few trials is left out."""
    import matplotlib as mpl

    with mpl.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mpl.use("agg")
        import matplotlib.pyplot as plt
        from optuna.visualization import matplotlib as drawn

        plots = {name: getattr(drawn, f"plot_{name}") for name in _PLOTS}
        if len(_complete(study)) >= _TELLING:
            plots["param_importances"] = partial(drawn.plot_param_importances, evaluator=_evaluator())
        for name, plot in plots.items():
            try:
                axes = plot(study)
            except (ValueError, RuntimeError):
                continue
            figure = (axes.ravel()[0] if hasattr(axes, "ravel") else axes).figure
            figure.savefig(folder / f"{name}.png", dpi=110, bbox_inches="tight")
            plt.close("all")


def _seconds(trial: Any) -> float | None:
    return None if trial.duration is None else round(trial.duration.total_seconds(), 2)


def _write_csv(path: Path, rows: list[Any]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_atomically(path, text.getvalue().encode())
