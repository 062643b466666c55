"""The file that MLflow keeps with each model, and runs to load it; not to be imported."""

from pathlib import Path
from typing import Any

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel
from pandas import DataFrame

from heads.model import load_model
from search.tracking.served import FOLDER, predict_recordings


class StoredFeatures(PythonModel):
    """A saved model, asked about stored features."""

    def load_context(self, context: Any) -> None:
        """Load the model, once."""
        self.model = load_model(Path(context.artifacts[FOLDER]))

    def predict(self, context: Any, model_input: DataFrame, params: dict[str, Any] | None = None) -> DataFrame:
        """Return the probabilities of all clips of some recordings."""
        return predict_recordings(self.model, model_input)


set_model(StoredFeatures())
