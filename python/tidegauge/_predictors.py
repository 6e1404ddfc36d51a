"""How a model is asked for predictions: with which columns, in which container, by which method."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tidegauge._models import LIBRARIES, Coefficients, ModelFile, Table, predicting
from tidegauge.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

#: What a function, a Booster or a session is asked for, where estimators have names of methods.
PREDICTIONS = "predictions"


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """A model and how it is called.

    Attributes
    ----------
    model : object
        What scorers of scikit-learn are asked about: tags, classes, names of methods.
    methods : dict of str to callable
        Functions from the data of a table to predictions; of estimators filled when asked for.
    is_estimator : bool
        Whether it has the methods of scikit-learn's estimators.
    features : list of str or None
        The columns that it was trained on, where it knows them, in its order.
    width : int or None
        How many columns it was trained on, where it knows that.
    dtype : str or None
        The model takes one matrix of this type, whatever holds the columns.
    """

    model: Any
    is_estimator: bool
    methods: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    features: list[str] | None = None
    width: int | None = None
    dtype: str | None = None

    def call(self, method: str, data: Any) -> Any:
        """Predictions of a method for the rows of `data`."""
        import numpy as np

        if self.dtype is not None:
            data = matrix(data, self.dtype)
        elif self.is_estimator and self.features is None and hasattr(data, "columns"):
            # Fitted on an array: names would only be warned of.
            data = _plain(data)
        elif isinstance(data, dict) and self.is_estimator:
            data = _pandas(data)
        ask = self.methods.get(method) or getattr(self.model, method)
        kind = type(self.model)
        with predicting(kind.__name__) if kind.__module__.partition(".")[0] in LIBRARIES else nullcontext():
            found = ask(data)
        found = np.asarray(found)
        # A view of an array's columns would change when they are exchanged.
        arrays = data.values() if isinstance(data, dict) else [data]
        shares = any(isinstance(a, np.ndarray) and np.may_share_memory(a, found) for a in arrays)
        return found.copy() if shares else found

    def choose(self, table: Table) -> tuple[Table, list[str]]:
        """The columns the model was trained on, in its order, and notes on what that changed.

        Raises
        ------
        UsageError
            If a column is missing, or there are more or fewer than a model takes that goes by their place.
        """
        wanted, notes = self.places([str(name) for name in table.names], named=table.named)
        return (table if wanted is None else table.select(wanted)), notes

    def places(self, names: list[str], *, named: bool) -> tuple[list[int] | None, list[str]]:
        """Positions of the model's columns among these, None where they are all in their order; notes as `choose`.

        Raises
        ------
        UsageError
            As `choose`.
        """
        if self.features is not None and named:
            return _places(self.features, names)
        if self.width is not None and len(names) != self.width:
            raise UsageError(f"X has {len(names)} columns; the model takes {self.width}")
        return None, []


def refuse_nan(predictions: Any, where: str) -> None:
    """Refuse predictions that are NaN, of which no score is known.

    Raises
    ------
    UsageError
        If there are any; it says how many, and the first row.
    """
    import numpy as np

    if predictions.dtype.kind != "f":
        return
    missing = np.isnan(predictions).reshape(len(predictions), -1).any(axis=1)
    if count := int(missing.sum()):
        raise UsageError(
            f"the model predicts NaN for {count:,} of {len(missing):,} rows {where}, the first of them row "
            f"{int(missing.argmax())}; accepted are numbers"
        )


def _places(features: list[str], names: list[str]) -> tuple[list[int] | None, list[str]]:
    have = {name.replace(" ", "_"): j for j, name in enumerate(names)}
    if missing := [name for name in features if name.replace(" ", "_") not in have]:
        raise UsageError(f"X has no column {missing[0]!r}, which the model was trained on")
    wanted = [have[name.replace(" ", "_")] for name in features]
    if wanted == list(range(len(names))):
        return None, []
    others = sorted(set(range(len(names))) - set(wanted))
    notes = []
    if others:
        notes.append(f"columns that the model does not take are left out: {', '.join(names[j] for j in others)}")
    if wanted != sorted(wanted):
        notes.append("columns are handed over in the order the model was trained on")
    return wanted, notes


def predictor_of(model: Any) -> Predictor:
    """How to call a model.

    Raises
    ------
    UsageError
        If it has no predictions.
    """
    if isinstance(model, Predictor):
        return model
    if isinstance(model, ModelFile):
        model = model.opened()
    if isinstance(model, Coefficients):
        return Predictor(
            model=model,
            is_estimator=False,
            methods={PREDICTIONS: model.predict},
            features=model.features,
            width=len(model.features),
        )
    module, name = type(model).__module__.partition(".")[0], type(model).__name__
    if module == "onnxruntime" and hasattr(model, "get_inputs"):
        return _session(model)
    if module == "xgboost" and name == "Booster":
        return _xgboost(model)
    if module == "lightgbm" and name == "Booster":
        names = [str(n) for n in model.feature_name()]
        invented = all(n == f"Column_{j}" for j, n in enumerate(names))
        return Predictor(
            model=model,
            is_estimator=False,
            methods={PREDICTIONS: model.predict},
            features=None if invented else names,
            width=len(names),
        )
    if module == "catboost":
        return _catboost(model, name)
    if not hasattr(model, "predict"):
        return Predictor(model=model, is_estimator=False, methods={PREDICTIONS: model})
    if not hasattr(model, "fit"):
        return Predictor(model=model, is_estimator=False, methods={PREDICTIONS: model.predict})
    width = getattr(model, "n_features_in_", None)
    return Predictor(
        model=model, is_estimator=True, features=_seen(model), width=width if isinstance(width, int) else None
    )


def _seen(model: Any) -> list[str] | None:
    """Names that an estimator was fitted on."""
    found = getattr(model, "feature_names_in_", None)
    # LightGBM's estimators invent names for arrays.
    if found is None or all(str(n) == f"Column_{j}" for j, n in enumerate(found)):
        return None
    return [str(n) for n in found]


def _xgboost(model: Any) -> Predictor:
    def predict(data: Any) -> Any:
        import xgboost

        names = None if hasattr(data, "columns") or hasattr(data, "column_names") else model.feature_names
        return model.predict(xgboost.DMatrix(data, feature_names=names, enable_categorical=True))

    return Predictor(
        model=model,
        is_estimator=False,
        methods={PREDICTIONS: predict},
        features=model.feature_names,
        width=int(model.num_features()),
    )


def _catboost(model: Any, name: str) -> Predictor:
    names = [str(n) for n in model.feature_names_]
    features = None if names == [str(j) for j in range(len(names))] else names

    def plain(data: Any) -> Any:
        return _pandas(data) if isinstance(data, dict) or hasattr(data, "column_names") else data

    def of(method: str, **kind: Any) -> Callable[[Any], Any]:
        def predict(data: Any) -> Any:
            found = getattr(model, method)(plain(data), **kind)
            # Classes of more than two come as a column.
            return found[:, 0] if found.ndim == 2 and found.shape[1] == 1 else found

        return predict

    if name in ("CatBoostClassifier", "CatBoostRegressor"):
        # scikit-learn's scorers ask `predict_proba` of classifiers alone.
        methods = {m: of(m) for m in ("predict", "predict_proba") if hasattr(model, m)}
        return Predictor(model=model, is_estimator=True, methods=methods, features=features, width=len(names))
    loss = str(model.get_all_params().get("loss_function")) if model.is_fitted() else ""
    classes = loss in ("Logloss", "CrossEntropy", "MultiClass", "MultiClassOneVsAll")
    predict = of("predict", prediction_type="Probability") if classes else of("predict")
    return Predictor(
        model=model, is_estimator=False, methods={PREDICTIONS: predict}, features=features, width=len(names)
    )


#: Types of tensors of ONNX that rows are turned into.
TENSORS = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(bool)": "bool",
    "tensor(string)": "object",
}


def _session(session: Any) -> Predictor:
    """A session of ONNX Runtime: one matrix, or one input a column."""
    import numpy as np

    inputs, outputs = session.get_inputs(), session.get_outputs()
    if unknown := [i.type for i in inputs if i.type not in TENSORS]:
        raise UsageError(f"ONNX input of type {unknown[0]}; accepted are {', '.join(TENSORS)}")
    # Classifiers give labels and then probabilities.
    wanted = outputs[-1].name

    def unpack(found: Any) -> Any:
        if isinstance(found, list):
            # One dictionary a row, from class to probability.
            return np.array([list(row.values()) for row in found], dtype=np.float64)
        found = np.asarray(found)
        return found[:, 0] if found.ndim == 2 and found.shape[1] == 1 else found

    if len(inputs) == 1:
        shape = inputs[0].shape

        def predict(data: Any) -> Any:
            if len(shape) == 2 and isinstance(shape[1], int) and shape[1] != data.shape[1]:
                raise UsageError(f"X has {data.shape[1]} columns, input {inputs[0].name!r} of the model {shape[1]}")
            return unpack(session.run([wanted], {inputs[0].name: data})[0])

        return Predictor(
            model=session, is_estimator=False, methods={PREDICTIONS: predict}, dtype=TENSORS[inputs[0].type]
        )

    def of_columns(data: Any) -> Any:
        table = Table(data)
        if not table.named:
            raise UsageError(f"X has no names of columns; the model has the inputs {', '.join(i.name for i in inputs)}")
        given = {}
        for i in inputs:
            values = np.asarray(table.column(table.names.index(i.name)))
            given[i.name] = np.ascontiguousarray(values.astype(TENSORS[i.type])[:, None])
        return unpack(session.run([wanted], given)[0])

    names = [i.name for i in inputs]
    return Predictor(model=session, is_estimator=False, methods={PREDICTIONS: of_columns}, features=names)


def matrix(data: Any, dtype: str) -> Any:
    """Rows as one contiguous matrix; missing values as NaN.

    Raises
    ------
    UsageError
        If a column holds no numbers.
    """
    import numpy as np

    table = Table(data)
    if not table.named:
        return np.ascontiguousarray(table.data, dtype=dtype)
    if dtype == "object":
        return np.column_stack([np.asarray(table.column(j), dtype=object) for j in range(len(table.names))])
    out = np.empty((table.rows, len(table.names)), dtype=dtype)
    for j in range(len(table.names)):
        out[:, j] = table.floats(j, None)
    return out


def _plain(data: Any) -> Any:
    """A frame of numbers as an array; any other as it is."""
    try:
        return matrix(data, "float64")
    except UsageError:
        return data


def _pandas(data: Any) -> Any:
    """A dictionary of columns or an Arrow table as the frame that estimators find columns in."""
    try:
        import pandas as pd
    except ImportError:
        raise UsageError(f"X is a {type(data).__name__}, which the model takes as a pandas frame only") from None
    return data.to_pandas() if hasattr(data, "column_names") else pd.DataFrame(data)
