"""Pipelines taken apart: which raw column each input of the final model comes from.

A step keeps columns apart where each of its outputs is a function of one input. Then exchanging a raw
column exchanges its outputs and nothing else, and the exact form of the final model serves the pipeline.
Which steps do so is known by their type, and looked at on real rows besides.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tidegauge._models import ReadModel, Table, predicting
from tidegauge._predictors import Predictor, predictor_of
from tidegauge.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

#: Steps with one output a column.
ONE_TO_ONE = (
    "Binarizer",
    "MaxAbsScaler",
    "MinMaxScaler",
    "OrdinalEncoder",
    "PowerTransformer",
    "QuantileTransformer",
    "RobustScaler",
    "StandardScaler",
)
#: Rows on which columns are seen to stay apart.
LOOKED_AT = 256


def unwrap(pipeline: Any) -> ReadModel:
    """The exact form of a pipeline, its units the raw columns.

    Raises
    ------
    UsageError
        If a step may mix columns, or the final model has no exact form; it names the step.
    """
    from tidegauge._models import read

    steps, final = pipeline[:-1], pipeline[-1]
    width = int(pipeline.n_features_in_)
    sources = _through(steps, list(range(width)), "pipeline")
    inner = read(final)
    if inner.raw is not None:
        sources = [sources[k] for k in _features(inner.raw)]
    given = getattr(pipeline, "feature_names_in_", None)
    names = [f"column_{j}" for j in range(width)] if given is None else [str(n) for n in given]
    outer = predictor_of(pipeline)
    looked: set[int] = set()

    def encode(table: Table) -> list[Floats]:
        chosen = _chosen(outer, table, width)
        columns = _columns(inner, steps, chosen, len(sources))
        if not looked:
            _look(inner, steps, chosen, columns, sources, names)
            looked.add(1)
        return columns

    def predict(table: Table, _: list[Floats]) -> Any:
        data = _chosen(outer, table, width).data
        if not inner.classifies or not hasattr(pipeline, "predict_proba"):
            return pipeline.predict(data)
        found = pipeline.predict_proba(data)
        return found[:, 1] if found.shape[1] == 2 else found

    units: list[tuple[str, list[int]]] = [(name, []) for name in names]
    for k, j in enumerate(sources):
        units[j][1].append(k)
    return replace(
        inner,
        encode=encode,
        predict=predict,
        source=f"{inner.source} behind a pipeline",
        classes=getattr(pipeline, "classes_", inner.classes),
        raw=units,
        shape=_shape(outer),
    )


def _features(raw: list[tuple[str, list[int]]]) -> list[int]:
    """Of nested pipelines: which input each feature of the inner one comes from."""
    found = {k: j for j, (_, members) in enumerate(raw) for k in members}
    return [found[k] for k in range(len(found))]


def _shape(outer: Predictor) -> Any:
    from tidegauge._permutation import shape_of

    return shape_of(outer)


def _chosen(outer: Predictor, table: Table, width: int) -> Table:
    """The columns that the pipeline takes, in its order."""
    if isinstance(table.data, dict):
        import pandas as pd

        table = Table(pd.DataFrame(table.data))
    table, _ = outer.choose(table)
    if len(table.names) != width:
        raise UsageError(f"X has {len(table.names)} columns, the pipeline {width}")
    return table


def _columns(inner: ReadModel, steps: Any, table: Table, width: int) -> list[Floats]:
    """What the final model splits."""
    with predicting("pipeline"):
        found = steps.transform(table.data)
    if hasattr(found, "tocsc"):
        # One column at a time would be as large; the trees take columns without zeros left out.
        found = found.toarray()
    columns = inner.columns(Table(found))
    if len(columns) != width:
        raise UsageError(f"the steps make {len(columns)} columns where {width} were expected")
    return columns


def _look(
    inner: ReadModel, steps: Any, table: Table, columns: list[Floats], sources: list[int], names: list[str]
) -> None:
    """Exchange every raw column for itself, and see that no output but its own takes notice.

    Raises
    ------
    UsageError
        If one does.
    """
    import numpy as np

    from tidegauge._permutation import keyed

    n = min(LOOKED_AT, table.rows)
    if n < 2:
        return
    part = table.slice(0, n)
    orders = [keyed(n, 0, name, 0) for name in names]
    if part.named:
        moved = part.replace({j: part.gather(j, order) for j, order in enumerate(orders)})
    else:
        moved = Table(np.column_stack([part.data[order, j] for j, order in enumerate(orders)]))
    for k, (found, column) in enumerate(zip(_columns(inner, steps, moved, len(sources)), columns, strict=True)):
        if not np.array_equal(found, column[:n][orders[sources[k]]], equal_nan=True):
            raise UsageError(
                f"input {k} of the model changes with other columns than {names[sources[k]]!r}, so it has no exact form"
            )


def _through(step: Any, sources: list[int], where: str) -> list[int]:
    """The source of each output of a fitted step, from those of its inputs.

    Raises
    ------
    UsageError
        If an output may have several.
    """
    kind = type(step).__name__
    if type(step).__module__.partition(".")[0] != "sklearn" and step != "passthrough":
        raise UsageError(f"{where} has {kind}, which may mix columns, so it has no exact form")
    if step == "passthrough" or kind in ONE_TO_ONE or (kind == "FunctionTransformer" and step.func is None):
        return sources
    match kind:
        case "Pipeline":
            for name, one in step.steps:
                sources = _through(one, sources, f"step {name!r}") if one is not None else sources
            return sources
        case "ColumnTransformer":
            return _of_columns(step, sources)
        case "FeatureUnion":
            return [j for name, one in step.transformer_list if one != "drop" for j in _through(one, sources, name)]
        case "SimpleImputer":
            known = [v is not None and v == v for v in step.statistics_]
            kept = [j for j, k in zip(sources, known, strict=True) if k or step.keep_empty_features]
            marked = [] if step.indicator_ is None else [sources[int(i)] for i in step.indicator_.features_]
            return kept + marked
        case "MissingIndicator":
            return [sources[int(i)] for i in step.features_]
        case "OneHotEncoder":
            # Categories that were seen less what `drop` and rare ones take away.
            return [j for j, n in zip(sources, step._n_features_outs, strict=True) for _ in range(n)]
        case "KBinsDiscretizer":
            counts = [1] * len(sources) if step.encode == "ordinal" else [int(n) for n in step.n_bins_]
            return [j for j, n in zip(sources, counts, strict=True) for _ in range(n)]
        case "TargetEncoder":
            each = len(step.classes_) if step.target_type_ == "multiclass" else 1
            return [j for j in sources for _ in range(each)]
        case "SplineTransformer":
            each = step.n_features_out_ // max(1, len(sources))
            return [j for j in sources for _ in range(each)]
    if hasattr(step, "get_support"):
        return [sources[int(i)] for i in step.get_support(indices=True)]
    raise UsageError(f"{where} is a {kind}, which may mix columns, so it has no exact form")


def _of_columns(step: Any, sources: list[int]) -> list[int]:
    """Outputs of a ColumnTransformer, in the order it stacks them."""
    outputs = step.output_indices_
    width = max((part.stop for part in outputs.values()), default=0)
    found: list[int | None] = [None] * width
    for name, one, _ in step.transformers_:
        part = outputs[name]
        if one == "drop" or part.start == part.stop:
            continue
        own = _through(one, [sources[i] for i in step._transformer_to_input_indices[name]], f"step {name!r}")
        if len(own) != part.stop - part.start:
            raise UsageError(f"step {name!r} makes {part.stop - part.start} columns where {len(own)} were expected")
        found[part] = own
    if None in found:
        raise UsageError("a ColumnTransformer has outputs of no step")
    return [j for j in found if j is not None]
