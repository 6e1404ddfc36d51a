"""Damaged model files are refused by name, never by a panic."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from tidegauge import _core
from tidegauge.errors import FormatError, UsageError
from zoo import case

MUTATIONS = 400


def attempt(read, data) -> bool:  # type: ignore[no-untyped-def]
    """Whether the model could be read; predictions of a readable one end too."""
    try:
        model = read(data)
    except (FormatError, UsageError):
        return False
    model.predict([np.zeros(3)] * len(model.features), link=True)
    return True


@pytest.mark.parametrize("name", ["lightgbm-categorical", "lightgbm-multiclass"])
def test_lightgbm_text(name: str) -> None:
    text = case(name).model.model_to_string()
    body = text[: text.index("end of trees")]
    assert attempt(_core.TreeModel.from_lightgbm, text)
    for end in range(0, len(body), max(1, len(body) // 300)):
        assert not attempt(_core.TreeModel.from_lightgbm, text[:end])
    rng = random.Random(0)
    for _ in range(MUTATIONS):
        at = rng.randrange(len(body))
        mutated = text[:at] + rng.choice(["9", "-", "=", " ", "\n", "e", "nan", "99999999999", ""]) + text[at + 1 :]
        attempt(_core.TreeModel.from_lightgbm, mutated)
    for was, now in (
        ("num_leaves=", "num_leaves=9"),
        ("split_feature=", "split_feature=77 "),
        ("left_child=", "left_child=0 "),
    ):
        assert not attempt(_core.TreeModel.from_lightgbm, text.replace(was, now, 1))


@pytest.mark.parametrize("name", ["xgboost-categorical", "xgboost-dart"])
@pytest.mark.parametrize("form", ["json", "ubj"])
def test_xgboost_bytes(name: str, form: str) -> None:
    data = bytes(case(name).model.save_raw(form))
    assert attempt(_core.TreeModel.from_xgboost, data)
    for end in range(0, len(data), max(1, len(data) // 300)):
        assert not attempt(_core.TreeModel.from_xgboost, data[:end])
    rng = random.Random(0)
    for _ in range(MUTATIONS):
        mutated = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            mutated[rng.randrange(len(data))] = rng.choice(b"[]{}$#iUlLdDSHN0\xff\x7f9-\x00")
        attempt(_core.TreeModel.from_xgboost, bytes(mutated))


@pytest.mark.parametrize("name", ["catboost-binary", "catboost-classes"])
def test_catboost_json(name: str, tmp_path: Path) -> None:
    case(name).model.save_model(str(tmp_path / "m.json"), format="json")
    document = json.loads((tmp_path / "m.json").read_text())
    del document["model_info"]["catboost_version_info"]
    data = json.dumps(document).encode()
    assert attempt(_core.TreeModel.from_catboost, data)
    for end in range(0, len(data), max(1, len(data) // 300)):
        assert not attempt(_core.TreeModel.from_catboost, data[:end])
    rng = random.Random(0)
    for _ in range(MUTATIONS):
        mutated = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            mutated[rng.randrange(len(data))] = rng.choice(b'[]{}0123456789.eE-,:"\xff')
        attempt(_core.TreeModel.from_catboost, bytes(mutated))

    def refused(change) -> str:  # type: ignore[no-untyped-def]
        altered = json.loads(data)
        change(altered)
        with pytest.raises((FormatError, UsageError)) as caught:
            _core.TreeModel.from_catboost(json.dumps(altered).encode())
        return str(caught.value)

    def split(key: str, value: object):  # type: ignore[no-untyped-def]
        return lambda d: d["oblivious_trees"][0]["splits"][0].__setitem__(key, value)

    assert "float_feature_index 99" in refused(split("float_feature_index", 99))
    assert "OnlineCtr" in refused(split("split_type", "OnlineCtr"))
    assert "border has the value" in refused(split("border", "x"))
    assert "leaf_values for 16 leaves" in refused(lambda d: d["oblivious_trees"][0]["leaf_values"].pop())
    assert "scale_and_bias" in refused(lambda d: d["scale_and_bias"].pop())
    assert "categorical_features" in refused(lambda d: d["features_info"].update(categorical_features=[{}]))
    assert "not symmetric" in refused(lambda d: d.update(trees=[]))
    assert "QueryRMSE" in refused(lambda d: d["model_info"]["params"]["loss_function"].update(type="QueryRMSE"))
    assert "flat_feature_index" in refused(
        lambda d: d["features_info"]["float_features"][0].update(flat_feature_index=2**40)
    )


def test_xgboost_structure() -> None:
    document = json.loads(case("xgboost-number").model.save_raw("json"))
    model = document["learner"]["gradient_booster"]["model"]
    first = model["trees"][0]

    def refused(change) -> str:  # type: ignore[no-untyped-def]
        altered = json.loads(json.dumps(document))
        change(altered["learner"]["gradient_booster"]["model"]["trees"][0], altered["learner"])
        with pytest.raises((FormatError, UsageError)) as caught:
            _core.TreeModel.from_xgboost(json.dumps(altered).encode())
        return str(caught.value)

    last = len(first["left_children"])
    assert str(last) in refused(lambda tree, _: tree["left_children"].__setitem__(0, last))
    assert "reached twice" in refused(lambda tree, _: tree["left_children"].__setitem__(0, tree["right_children"][0]))
    assert "reached twice" in refused(lambda tree, _: tree["left_children"].__setitem__(0, 0))
    assert "feature" in refused(lambda tree, _: tree["split_indices"].__setitem__(0, 99))
    assert "default_left" in refused(lambda tree, _: tree["default_left"].pop())
    assert "base_score" in refused(lambda _, learner: learner["learner_model_param"].update(base_score="x"))
    # Numbers that would take memory before a tree is seen.
    for key in ("num_feature", "num_class"):
        assert "67108864" in refused(
            lambda _, learner, key=key: learner["learner_model_param"].update({key: "67108864"})
        )
    assert "survival:aft" in refused(lambda _, learner: learner["objective"].update(name="survival:aft"))
    assert "gblinear" in refused(lambda _, learner: learner["gradient_booster"].update(name="gblinear"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"{}",
        b"[" * 500,
        b"{i\x01a" * 300,
        b"[$U#L\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"[$Z#L\x00\x00\x00\x01\x00\x00\x00\x00",
        b"[#l\x7f\xff\xff\xff",
        b"{U\xffa",
        b"{i\xffa",
        b'{"a": ' + b"[" * 1000,
    ],
)
def test_hostile_bytes(data: bytes) -> None:
    assert not attempt(_core.TreeModel.from_xgboost, data)


def test_linear_leaves_are_refused() -> None:
    lgb = pytest.importorskip("lightgbm")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    parameters = {"linear_tree": True, "verbose": -1, "objective": "regression", "num_threads": 1}
    booster = lgb.train(parameters, lgb.Dataset(x, x[:, 0], params={"linear_tree": True}), 3)
    with pytest.raises(UsageError, match="linear leaves"):
        _core.TreeModel.from_lightgbm(booster.model_to_string())
