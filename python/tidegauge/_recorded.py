"""What verification takes from a record, because neither profiles nor an untrusted model may give it again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidegauge.record import unpack_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidegauge._performance import Measured
    from tidegauge.results import Report, Row

#: Kinds of rows that are made from rows of data, by the section of the result beside them.
FROM_ROWS = {"performance": ("performance", "fairness"), "explanations": ("importance", "segment")}
#: Sections of the result that are made from rows of data and models, not from profiles.
SECTIONS = ("performance", "explanations", "risk_register")


@dataclass(frozen=True)
class RecordedExplanation:
    """Importances, drift and weak segments as they were recorded; no model is loaded."""

    record: Mapping[str, Any]

    @property
    def notes(self) -> list[str]:
        """What a reader must know."""
        return list(self.record["result"]["explanations"]["notes"])

    @property
    def checks(self) -> dict[str, Any]:
        """How far the model's predictions are from the score that was logged."""
        return dict((self.record["inputs"].get("model") or {}).get("checks") or {})

    def options(self) -> dict[str, Any]:
        """What changes the answer."""
        return dict(self.record["result"]["configuration"].get("explain") or {})

    def sections(self) -> dict[str, Any]:
        """Sections of a record's result."""
        result = self.record["result"]
        return {name: result[name] for name in ("explanations", "risk_register") if name in result}

    def rows(self, told: Mapping[str, Any]) -> list[Row]:
        """Rows in the shape of reports, of the run that `told` is of."""
        return [{**row, "run_id": told["run_id"]} for row in _rows(self.record, "explanations")]


@dataclass(frozen=True)
class Recorded:
    """Parts of a record that are not made again.

    Attributes
    ----------
    record : mapping
    joint : list of dict
        Rows of the joint statistics.
    explanation : RecordedExplanation or None
    performance : bool
        Whether performance is taken from the record too.
    """

    record: Mapping[str, Any]
    joint: tuple[Row, ...] = ()
    explanation: RecordedExplanation | None = None
    performance: bool = False

    @classmethod
    def without_rows(cls, record: Mapping[str, Any]) -> Recorded:
        """All that profiles do not give."""
        joint = tuple(row for row in unpack_rows(record["result"]["rows"]) if row["kind"] == "joint")
        return cls(record, joint, cls.without_model(record).explanation, performance=True)

    @classmethod
    def without_model(cls, record: Mapping[str, Any]) -> Recorded:
        """All that only the model gives."""
        explained = "explanations" in record["result"]
        return cls(record, explanation=RecordedExplanation(record) if explained else None)

    @staticmethod
    def planned(measured: Measured) -> Measured | None:
        """What would be measured, which profiles tell, without the states of rows."""
        if not measured.plan:
            return None
        measured.reason = None
        return measured

    def take_performance(self, report: Report) -> None:
        """Set what the report says of performance to what the record says."""
        kinds = FROM_ROWS["performance"]
        run_id = next((row["run_id"] for row in report.rows), None)
        taken = _rows(self.record, "performance")
        # A check of what is not measured now is an error there.
        told = {(row["feature"], row["statistic"]) for row in taken}
        kept = [r for r in report.rows if r["kind"] not in kinds and (r["feature"], r["statistic"]) not in told]
        report.rows[:] = [*kept, *({**row, "run_id": run_id} for row in taken)]
        report.performance = self.record["result"].get("performance")

    @property
    def decides(self) -> bool:
        """Whether a row of performance decides with those of its window, whose levels then rest on it too."""
        return any(row["decides"] for row in _rows(self.record, "performance"))


def _rows(record: Mapping[str, Any], section: str) -> list[Row]:
    return [row for row in unpack_rows(record["result"]["rows"]) if row["kind"] in FROM_ROWS[section]]
