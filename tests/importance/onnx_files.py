"""ONNX files of one tree ensemble, written field by field: the package `onnx` is no dependency."""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np

MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]


def varint(n: int) -> bytes:
    n &= 2**64 - 1
    out = bytearray()
    while n >= 128:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes([*out, n])


def number(key: int, value: int) -> bytes:
    return varint(key << 3) + varint(value)


def message(key: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return varint(key << 3 | 2) + varint(len(data)) + data


def attribute(name: str, value: Any) -> bytes:
    """Integers, floats, text, and lists of these; arrays as tensors."""
    head = message(1, name)
    if isinstance(value, np.ndarray):
        kind = {"uint8": 2, "float32": 1, "float64": 11}[value.dtype.name]
        tensor = number(1, len(value)) + number(2, kind) + message(9, value.tobytes())
        return head + message(5, tensor) + number(20, 4)
    if isinstance(value, int):
        return head + number(3, value) + number(20, 2)
    if isinstance(value, str):
        return head + message(4, value) + number(20, 3)
    if all(isinstance(v, str) for v in value):
        return head + b"".join(message(9, v) for v in value) + number(20, 8)
    if all(isinstance(v, int) for v in value):
        # Not packed, as the format's second version writes them.
        return head + b"".join(number(8, v) for v in value) + number(20, 7)
    return head + message(7, b"".join(struct.pack("<f", v) for v in value)) + number(20, 6)


def node(kind: str, inputs: Iterable[str], outputs: Iterable[str], domain: str, **attributes: Any) -> bytes:
    body = b"".join(message(1, name) for name in inputs) + b"".join(message(2, name) for name in outputs)
    body += message(3, kind) + message(4, kind)
    body += b"".join(message(5, attribute(k, v)) for k, v in attributes.items())
    return body + message(7, domain)


def tensor(name: str, element: int, *dimensions: int | None) -> bytes:
    shape = b"".join(message(1, message(2, "N") if n is None else number(1, n)) for n in dimensions)
    return message(1, name) + message(2, message(1, number(1, element) + message(2, shape)))


def model(nodes: list[bytes], inputs: list[bytes], outputs: list[bytes], version: int = 3) -> bytes:
    graph = b"".join(message(1, n) for n in nodes) + message(2, "graph")
    graph += b"".join(message(11, i) for i in inputs) + b"".join(message(12, o) for o in outputs)
    imports = message(8, message(1, "") + number(2, 17)) + message(8, message(1, "ai.onnx.ml") + number(2, version))
    return number(1, 8) + message(7, graph) + imports


@dataclass
class Forest:
    """Random trees as the attributes of the operator."""

    rng: np.random.Generator
    features: int
    outputs: int
    double: bool = False
    modes: list[str] = field(default_factory=lambda: MODES)
    #: All weights on this output, or each leaf on all.
    only: int | None = None
    positive: bool = False

    def attributes(self, trees: int, depth: int, leaf: str) -> dict[str, Any]:
        columns: dict[str, list[Any]] = {
            k: [] for k in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids", "nan")
        }
        leaves: dict[str, list[Any]] = {k: [] for k in ("treeids", "nodeids", "ids", "weights")}

        def add(tree: int, ids: Iterator[int], own: int, level: int) -> None:
            split = level < depth and (level == 0 or self.rng.random() < 0.8)
            mode = str(self.rng.choice(self.modes)) if split else "LEAF"
            value = float(np.float32(self.rng.integers(-4, 5) / 2)) if split else 0.0
            if self.double and split:
                value += 1e-12
            yes, no = (next(ids), next(ids)) if split else (0, 0)
            feature = int(self.rng.integers(self.features)) if split else 0
            row = (tree, own, feature, value, mode, yes, no, int(self.rng.random() < 0.5))
            for key, v in zip(columns, row, strict=True):
                columns[key].append(v)
            if split:
                add(tree, ids, yes, level + 1)
                add(tree, ids, no, level + 1)
                return
            for k in range(self.outputs) if self.only is None else [self.only]:
                weight = float(np.float32(self.rng.normal()))
                for key, v in zip(leaves, (tree, own, k, abs(weight) if self.positive else weight), strict=True):
                    leaves[key].append(v)

        for t in range(trees):
            add(3 * t + 1, count(1), 0, 0)
        suffix = "_as_tensor" if self.double else ""
        wrap = np.array if self.double else list
        return {
            "nodes_treeids": columns["treeids"],
            "nodes_nodeids": columns["nodeids"],
            "nodes_featureids": columns["featureids"],
            f"nodes_values{suffix}": wrap(columns["values"]),
            "nodes_modes": columns["modes"],
            "nodes_truenodeids": columns["truenodeids"],
            "nodes_falsenodeids": columns["falsenodeids"],
            "nodes_missing_value_tracks_true": columns["nan"],
            f"{leaf}_treeids": leaves["treeids"],
            f"{leaf}_nodeids": leaves["nodeids"],
            f"{leaf}_ids": leaves["ids"],
            f"{leaf}_weights{suffix}": wrap(leaves["weights"]),
        }


def classifier(attributes: dict[str, Any], features: int, classes: int, *, element: int = 1) -> bytes:
    operator = node("TreeEnsembleClassifier", ["X"], ["label", "scores"], "ai.onnx.ml", **attributes)
    label = tensor("label", 8 if "classlabels_strings" in attributes else 7, None)
    return model([operator], [tensor("X", element, None, features)], [label, tensor("scores", 1, None, classes)])


def regressor(attributes: dict[str, Any], features: int, *, element: int = 1) -> bytes:
    operator = node("TreeEnsembleRegressor", ["X"], ["Y"], "ai.onnx.ml", **attributes)
    return model([operator], [tensor("X", element, None, features)], [tensor("Y", 1, None, 1)])


def ensemble(
    rng: np.random.Generator,
    features: int,
    targets: int,
    *,
    trees: int = 7,
    depth: int = 4,
    double: bool = False,
    modes: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6),
) -> dict[str, Any]:
    """Random trees as the attributes of `TreeEnsemble` of version 5; mode 6 asks for membership in a set."""
    kind = np.float64 if double else np.float32
    nodes: list[dict[str, Any]] = []
    leaves: list[tuple[int, float]] = []
    roots = []
    sets: dict[int, list[float]] = {}

    def leaf() -> int:
        leaves.append((int(rng.integers(targets)), float(np.float32(rng.normal()))))
        return len(leaves) - 1

    def grow(level: int) -> int:
        own = len(nodes)
        mode = int(rng.choice(modes))
        # ONNX Runtime takes whole numbers in sets, and where one is negative it cuts off the fractions of rows,
        # which the specification does not; comparisons for equality join them.
        value = float(rng.integers(3)) if mode > 3 else float(rng.integers(-4, 5) / 2)
        feature, nan = int(rng.integers(features)), int(rng.random() < 0.5)
        nodes.append({"feature": feature, "mode": mode, "split": value, "nan": nan})
        if mode == 6:
            members = rng.choice(6, size=int(rng.integers(1, 5)), replace=False)
            sets[own] = [float(v) for v in members]
        for side in ("true", "false"):
            deeper = level + 1 < depth and rng.random() < 0.8
            nodes[own][side] = (grow(level + 1), 0) if deeper else (leaf(), 1)
        return own

    for _ in range(trees):
        roots.append(grow(0))
    listed: list[float] = []
    for own in sorted(sets):
        listed += [*sets[own], float("nan")]
    found: dict[str, Any] = {
        "nodes_featureids": [n["feature"] for n in nodes],
        "nodes_modes": np.array([n["mode"] for n in nodes], dtype=np.uint8),
        "nodes_splits": np.array([n["split"] for n in nodes], dtype=kind),
        "nodes_truenodeids": [n["true"][0] for n in nodes],
        "nodes_trueleafs": [n["true"][1] for n in nodes],
        "nodes_falsenodeids": [n["false"][0] for n in nodes],
        "nodes_falseleafs": [n["false"][1] for n in nodes],
        "nodes_missing_value_tracks_true": [n["nan"] for n in nodes],
        "leaf_targetids": [t for t, _ in leaves],
        "leaf_weights": np.array([w for _, w in leaves], dtype=kind),
        "tree_roots": roots,
        "n_targets": targets,
    }
    return found | ({"membership_values": np.array(listed, dtype=kind)} if listed else {})


def of_ensemble(attributes: dict[str, Any], features: int, targets: int = 1, *, element: int = 1) -> bytes:
    operator = node("TreeEnsemble", ["X"], ["Y"], "ai.onnx.ml", **attributes)
    return model([operator], [tensor("X", element, None, features)], [tensor("Y", element, None, targets)], version=5)
