"""Scores of predictions by name or function, and the loss of each row where the score is a mean of them.

Predictions are made once and scored by every scorer: scikit-learn's scorers are handed an estimator that
has its predictions already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

from tidegauge._models import class_places, not_numbers, unknown_class
from tidegauge._predictors import PREDICTIONS, Predictor
from tidegauge.errors import UsageError
from tidegauge.importance import CLASSES, LOSSES

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    #: Predictions of all rows, by method.
    Outputs = dict[str, Any]

#: The mean squared change of the prediction: needs no label.
CHANGE = "prediction_change"

#: How far from 0 to 1 a probability in single precision may be.
SLACK = 1e-5

#: How names of scorers of scikit-learn begin that judge predicted classes.
OF_CLASSES = ("accuracy", "balanced_accuracy", "f1", "jaccard", "matthews", "precision", "recall", "top_k")


class MissingError(Exception):
    """A scorer asks for predictions of a method that are not there yet."""

    def __init__(self, method: str) -> None:
        super().__init__(method)
        self.method = method


class Replay:
    """An estimator that has its predictions already."""

    def __init__(self, model: Any, outputs: Outputs) -> None:
        self._model = model
        self._outputs = outputs

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._model, name)
        if name not in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
            return found

        # scikit-learn asks a method for its name.
        @wraps(found)
        def replayed(*_: Any, **__: Any) -> Any:
            if name not in self._outputs:
                raise MissingError(name)
            return self._outputs[name]

        return replayed


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """One way to judge predictions."""

    name: str
    #: From the predictions of all rows; raises `MissingError`.
    score: Callable[[Outputs], float] | None = None
    #: The loss of each row, where the score is minus its mean; times `scale` of the result.
    by_row: Callable[[Outputs], Floats] | None = None
    #: From data: a function of the user's that predicts itself.
    direct: Callable[[Any], float] | None = None


def scorings_of(scoring: Any) -> dict[str, Any] | None:
    """Several scorings by name; None for a single one.

    Raises
    ------
    UsageError
        If there are none, or one occurs twice.
    """
    if isinstance(scoring, Mapping):
        named = {str(name): one for name, one in scoring.items()}
    elif isinstance(scoring, (list, tuple, set, frozenset)):
        if unnamed := [one for one in scoring if not isinstance(one, str)]:
            raise UsageError(f"scoring {unnamed[0]!r} in a list; a dictionary gives functions a name")
        named = {name: name for name in (sorted(scoring) if isinstance(scoring, (set, frozenset)) else scoring)}
        if len(named) < len(scoring):
            raise UsageError(f"scoring {list(scoring)} names one twice")
    else:
        return None
    if not named:
        raise UsageError("scoring is empty; at least one is accepted")
    return named


def scorer_of(predictor: Predictor, y: Any, scoring: Any, sample_weight: Any) -> Scorer:
    """The scorer of a name or function.

    Raises
    ------
    UsageError
        If model and scoring do not fit.
    """
    if scoring == CHANGE if isinstance(scoring, str) else False:
        if sample_weight is not None:
            raise UsageError(f"{CHANGE} takes no sample_weight")
        return Scorer(name=CHANGE)
    if y is None:
        raise UsageError(f"y is None, which scoring={CHANGE!r} alone accepts")
    if predictor.is_estimator:
        return _of_estimator(predictor.model, y, scoring, sample_weight)
    return _of_predictions(y, scoring, sample_weight)


def _of_estimator(model: Any, y: Any, scoring: Any, sample_weight: Any) -> Scorer:
    """With scikit-learn's own scorers."""
    weights = {} if sample_weight is None else {"sample_weight": sample_weight}
    if scoring is None:
        scoring = _own_score(model)
        if scoring is None:
            if not hasattr(model, "score"):
                raise UsageError(f"{type(model).__name__} has no score; name a scoring")
            return Scorer(name="score", direct=lambda data: float(model.score(data, y, **weights)))
    if callable(scoring):
        name = getattr(scoring, "__name__", type(scoring).__name__)
        return Scorer(name=name, direct=lambda data: float(scoring(model, data, y, **weights)))
    scorer = _named(scoring)
    classes = getattr(model, "classes_", None)
    _refuse_other_labels(y, classes)
    by_row = None if sample_weight is not None else row_loss(scoring, y, classes)
    method = "predict_proba" if LOSSES.get(scoring) in ("brier", "log_loss") else "predict"
    return Scorer(
        name=scoring,
        # The data is not looked at: predictions are there.
        score=lambda outputs: float(scorer(Replay(model, outputs), None, y, **weights)),
        by_row=None if by_row is None else lambda outputs: by_row(outputs[method]),
    )


def _named(scoring: Any) -> Any:
    try:
        from sklearn.metrics import get_scorer  # type: ignore[import-untyped]
    except ImportError:
        raise UsageError(f"scoring {scoring!r} needs scikit-learn") from None
    try:
        return get_scorer(scoring)
    except (ValueError, TypeError):
        raise UsageError(
            f"scoring {scoring!r}{_near(scoring)}; accepted are {CHANGE}, functions, and scikit-learn's "
            f"{', '.join(_scorer_names())}"
        ) from None


def _scorer_names() -> list[str]:
    from sklearn.metrics import get_scorer_names

    return sorted(get_scorer_names())


def _near(scoring: Any) -> str:
    from tidegauge.config import suggestion

    return suggestion(scoring, [CHANGE, *_scorer_names()]) if isinstance(scoring, str) else ""


def _own_score(model: Any) -> str | None:
    """The name of what `model.score` is, where it is scikit-learn's own."""
    try:
        from sklearn.base import ClassifierMixin, RegressorMixin  # type: ignore[import-untyped]
        from sklearn.pipeline import Pipeline  # type: ignore[import-untyped]
    except ImportError:
        return None
    while type(model) is Pipeline:
        model = model.steps[-1][1]
    score = getattr(type(model), "score", None)
    if score is ClassifierMixin.score:
        return "accuracy"
    return "r2" if score is RegressorMixin.score else None


def _of_predictions(y: Any, scoring: Any, sample_weight: Any) -> Scorer:
    """With a function of labels and predictions, a mean loss by name, or a scorer of scikit-learn."""
    import numpy as np

    weights = {} if sample_weight is None else {"sample_weight": sample_weight}
    if callable(scoring):
        name = getattr(scoring, "__name__", type(scoring).__name__)
        return Scorer(name=name, score=lambda outputs: float(scoring(y, outputs[PREDICTIONS], **weights)))
    if scoring is None:
        raise UsageError(
            f"scoring None of a function, Booster or session; accepted are {', '.join(sorted(LOSSES))}, names of "
            "scikit-learn's scorers, or a function of labels and predictions"
        )
    weight = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    by_row = row_loss(scoring, y, None, weight)
    if by_row is not None:
        offset = 1.0 if scoring in ("accuracy", "r2") else 0.0

        def mean(outputs: Outputs) -> float:
            return offset - float(np.average(by_row(outputs[PREDICTIONS]), weights=weight))

        losses = None if weight is not None else lambda outputs: by_row(outputs[PREDICTIONS])
        return Scorer(name=scoring, score=mean, by_row=losses)
    scorer = _named(scoring)
    classifies = scoring.startswith(OF_CLASSES) or "predict_proba" in np.ravel(scorer._response_method)
    wrapped = _estimator_of_predictions(classifies)
    return Scorer(
        name=scoring, score=lambda outputs: float(scorer(wrapped(np.asarray(outputs[PREDICTIONS])), None, y, **weights))
    )


def _estimator_of_predictions(classifies: bool) -> Any:
    """A class of estimators that have predictions and nothing else, for scorers of scikit-learn."""
    import numpy as np
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

    # The base classes have no types.
    class Known(BaseEstimator):  # type: ignore[misc]
        """Predictions of numbers."""

        def __init__(self, predictions: Any = None) -> None:
            self.predictions = predictions
            self.fitted_ = True

        def predict(self, _: Any) -> Any:
            """The predictions."""
            return self.predictions

    if not classifies:
        return type("KnownNumbers", (RegressorMixin, Known), {})

    class KnownClasses(ClassifierMixin, Known):  # type: ignore[misc]
        """Predictions of probabilities, of the second class or of each."""

        def __init__(self, predictions: Any = None) -> None:
            p = np.asarray(predictions, dtype=np.float64)
            super().__init__(np.column_stack([1.0 - p, p]) if p.ndim == 1 else p)
            self.classes_ = np.arange(self.predictions.shape[1])

        def predict(self, _: Any) -> Any:
            """The most probable class, the first of equals."""
            return self.classes_[self.predictions.argmax(axis=1)]

        def predict_proba(self, _: Any) -> Any:
            """The predictions."""
            return self.predictions

    return KnownClasses


def _refuse_other_labels(y: Any, classes: Any) -> None:
    """Refuse labels of which none is a class of the model: text beside numbers, say.

    Raises
    ------
    UsageError
        If it is so; single labels that the model does not know are scikit-learn's to judge.
    """
    import numpy as np

    labels = np.asarray(y)
    if classes is None or labels.ndim != 1 or not len(labels) or np.ndim(classes[0]):
        return
    if bool(np.all(class_places(labels, classes) < 0)):
        raise unknown_class(labels, 0, classes)


def change_of(predictor: Predictor, outputs: Outputs) -> Scorer:
    """The scorer of `prediction_change`, about the predictions with every value in place."""
    import numpy as np

    def numbers(outputs: Outputs) -> Floats:
        found: Floats = np.asarray(outputs[change_method(predictor)], dtype=np.float64)
        return found[:, 1] if found.ndim == 2 and found.shape[1] == 2 else found

    own = numbers(outputs).copy()

    def by_row(outputs: Outputs) -> Floats:
        squares: Floats = (numbers(outputs) - own) ** 2
        return squares if squares.ndim == 1 else squares.sum(axis=1)

    return Scorer(name=CHANGE, score=lambda outputs: -float(np.mean(by_row(outputs))), by_row=by_row)


def change_method(predictor: Predictor) -> str:
    """The method whose change is measured."""
    if not predictor.is_estimator:
        return PREDICTIONS
    return "predict_proba" if hasattr(predictor.model, "predict_proba") else "predict"


def row_loss(scoring: str, y: Any, classes: Any, weight: Floats | None = None) -> Callable[[Any], Floats] | None:
    """A function from predictions to the loss of each row, or None where the scoring is no such mean."""
    import numpy as np

    if scoring not in LOSSES:
        return None
    labels: npt.NDArray[Any] = np.asarray(y)
    if labels.ndim != 1:
        return None
    of_class = LOSSES[scoring] in CLASSES
    if labels.dtype.kind not in "biuf" and not (of_class and classes is not None):
        raise not_numbers(labels, "the numbers of classes, from 0" if of_class else "numbers")
    numbers: Floats = labels.astype(np.float64) if labels.dtype.kind in "biuf" else np.zeros(0)
    index = np.zeros(0, dtype=np.intp)
    if not of_class or classes is None:
        fits, told = np.isfinite(numbers), "finite numbers"
        if of_class:
            fits, told = fits & (numbers >= 0.0) & (numbers == np.floor(numbers)), "the numbers of classes, from 0"
        elif LOSSES[scoring] == "poisson_deviance":
            fits, told = fits & (numbers >= 0.0), "finite numbers from 0"
        elif LOSSES[scoring] == "gamma_deviance":
            fits, told = fits & (numbers > 0.0), "finite numbers above 0"
        if len(wrong := np.flatnonzero(~fits)):
            raise UsageError(f"label {labels.tolist()[wrong[0]]!r} in row {wrong[0]}; accepted are {told}")
        index = labels.astype(np.intp) if of_class else index
    elif LOSSES[scoring] != "zero_one":
        index = class_places(labels, classes)
        if len(wrong := np.flatnonzero(index < 0)):
            raise unknown_class(labels, int(wrong[0]), classes)
    spread = 1.0
    if scoring == "r2":
        spread = float(np.average((numbers - np.average(numbers, weights=weight)) ** 2, weights=weight))

    def probabilities(predicted: Any) -> Floats:
        p = np.asarray(predicted, dtype=np.float64)
        p = np.column_stack([1.0 - p, p]) if p.ndim == 1 else p
        if p.ndim != 2:
            raise UsageError(f"the model gives predictions of shape {p.shape}; accepted is one or two dimensions")
        outside = ~((p >= -SLACK) & (p <= 1.0 + SLACK)).all(axis=1)
        if (np.ndim(predicted) == 1 or LOSSES[scoring] != "zero_one") and (count := int(outside.sum())):
            row = int(outside.argmax())
            raise UsageError(
                f"the model predicts {p[row, -1]:.4g} for row {row}, and outside 0 to 1 for {count:,} of {len(p):,} "
                f"rows; scoring {scoring!r} takes probabilities"
            )
        if len(index) and int(index.max()) >= p.shape[1]:
            row = int(index.argmax())
            raise UsageError(
                f"label {labels.tolist()[row]!r} in row {row}; the model predicts {p.shape[1]} classes, from 0"
            )
        return p

    def of_classes(predicted: Any) -> Floats:
        if LOSSES[scoring] == "zero_one":
            known = classes is not None
            wrong = np.asarray(predicted) != labels if known else probabilities(predicted).argmax(axis=1) != index
            return np.asarray(wrong, dtype=np.float64)
        p = probabilities(predicted)
        if LOSSES[scoring] == "log_loss":
            eps = np.finfo(np.float64).eps
            likelihood: Floats = np.clip(p[np.arange(len(index)), index], eps, 1.0 - eps)
            return np.negative(np.log(likelihood))
        errors: Floats = (p - np.eye(p.shape[1])[index]) ** 2
        summed: Floats = errors[:, 1] if p.shape[1] == 2 else errors.sum(axis=1)
        return summed

    def of_numbers(predicted: Any) -> Floats:
        p: Floats = np.asarray(predicted, dtype=np.float64)
        match LOSSES[scoring]:
            case "absolute":
                return np.abs(numbers - p)
            case "pinball":
                return np.abs(numbers - p) / 2.0
            case "poisson_deviance":
                p = np.where(p > 0.0, p, np.nan)
                log = np.zeros_like(p)
                np.log(numbers / p, out=log, where=numbers > 0.0)
                return 2.0 * (numbers * log - numbers + p)
            case "gamma_deviance":
                p = np.where(p > 0.0, p, np.nan)
                return 2.0 * (np.log(p / numbers) + numbers / p - 1.0)
        return (numbers - p) ** 2 / spread

    return of_classes if LOSSES[scoring] in CLASSES else of_numbers
