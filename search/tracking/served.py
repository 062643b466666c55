"""What a model answers that MLflow has loaded or serves: predictions from stored features.

Input: a table with the columns ``store``, a feature store's path, and ``recording``, one of its recordings. Output:
a row for each clip of these, in order, with ``recording``, ``start`` and ``end`` in seconds, and the probability of
each class under its name.
"""

from typing import Any

STORE, RECORDING = "store", "recording"
TIMES = ("start", "end")
FOLDER = "model"  # name of the artifact


def predict_recordings(model: Any, rows: Any) -> Any:
    """Return the probabilities of all clips of some recordings as a table.

    Parameters
    ----------
    model : GestureModel
        As loaded.
    rows : pandas.DataFrame
        With the columns ``store`` and ``recording``.

    Raises
    ------
    InputError
        If there is no such store or recording, or its features are not those the model needs.
    """
    import pandas as pd

    from store.features import FeatureStore
    from store.places import place

    tables = []
    for where, name in zip(rows[STORE], rows[RECORDING], strict=True):
        opened = FeatureStore(place(where))
        opened.require(model.spec, "the model needs the latter; extract into another store")
        recording = opened[name]
        table = pd.DataFrame(recording.read("times"), columns=list(TIMES))
        table.insert(0, RECORDING, name)
        table[list(model.vocabulary.classes)] = model.head.predict(model.clips([recording]))
        tables.append(table)
    return pd.concat(tables, ignore_index=True)
