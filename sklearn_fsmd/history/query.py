"""The features of all rows of a log as one DuckDB query, which works on disk if the log is larger than memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from sklearn_fsmd.encoding.targets import events_of
from sklearn_fsmd.history.decay import Decay
from sklearn_fsmd.history.spec import ALWAYS, FeatureSpec


@dataclass(frozen=True)
class Query:
    """The computations of :class:`~sklearn_fsmd.history.past.Past` in SQL, on the table of `EventTable`.

    Parameters
    ----------
    spec : the features.
    decays : one per half-life.
    columns : the columns of the keys.
    final_until : for each outcome, the time up to which its labels are final.
    """

    spec: FeatureSpec
    decays: Sequence[Decay]
    columns: Sequence[str]
    final_until: Sequence[int]

    def text(self) -> str:
        """The query, which gives the features in the order of the rows."""
        steps, features = self._running_sums("all", (), [Decay(None, 0)]), []
        joins = self._joins("all", ())
        for i, key in enumerate(self.spec.keys):
            key_columns = [f"k{self.columns.index(name)}" for name in key]
            steps += self._running_sums(str(i), key_columns, self.decays)
            joins += self._joins(str(i), key_columns)
            features += self._features_of_key(str(i))
        columns = ", ".join(f"({sql})::FLOAT AS feature{j}" for j, sql in enumerate(features))
        return f"WITH {', '.join(steps)} SELECT {columns} FROM log AS e {' '.join(joins)} ORDER BY e.row"

    def _joins(self, name: str, key: Sequence[str]) -> list[str]:
        """For each cutoff, join the running sums of a key up to the last event that counts for a row."""
        joins = []
        for i, (delay, final) in enumerate(self._cutoffs):
            past = f"p_{name}_{i}"
            until = f"e.t - {delay}" if final == ALWAYS else f"least(e.t - {delay}, {final})"
            conditions = [*(f"e.{column} = {past}.{column}" for column in key), f"{until} >= {past}.t"]
            joins.append(f"ASOF LEFT JOIN running_{name} AS {past} ON {' AND '.join(conditions)}")
        return joins

    @cached_property
    def _cutoffs(self) -> list[tuple[int, int]]:
        """Delays, with the times up to which labels are final. The first is that of the numbers of events."""
        return [(self.spec.delay, ALWAYS), *self.spec.cutoffs(self.final_until)]

    def _past(self, name: str, outcome: int) -> str:
        """The name of the joined table of the running sums of a key for an outcome."""
        return f"p_{name}_{self._cutoffs.index((self.spec.delay_of(outcome), self.final_until[outcome]))}"

    @property
    def _amounts(self) -> dict[str, str]:
        """What an event adds to the sums: expressions by name."""
        n_outcomes = len(events_of(self.spec.parents))
        counts = [f"{what}{j}" for j in range(n_outcomes) for what in ("trials", "positives")]
        return {"n": "1.0::DOUBLE"} | {name: f"{name}::DOUBLE" for name in counts}

    def _running_sums(self, name: str, key: Sequence[str], decays: Sequence[Decay]) -> list[str]:
        """The CTEs of the sums over events of each value of a key, up to each time at which it has events."""
        sums = {
            f"{amount}_{d}": f"sum({sql} * {decay.weights_sql('t')})"
            for d, decay in enumerate(decays)
            for amount, sql in self._amounts.items()
        }
        where = " AND ".join(f"{column} IS NOT NULL" for column in key) or "true"
        key_and_time = ", ".join([*key, "t"])
        at_time = f"SELECT {key_and_time}, {', '.join(f'{sql} AS {column}' for column, sql in sums.items())} FROM log"
        by = f"PARTITION BY {', '.join(key)}" if key else ""
        running = ", ".join(f"sum({column}) OVER past AS {column}" for column in sums)
        return [
            f"at_time_{name} AS ({at_time} WHERE {where} GROUP BY {key_and_time})",
            f"running_{name} AS (SELECT {key_and_time}, {running} FROM at_time_{name} "
            f"WINDOW past AS ({by} ORDER BY t ROWS UNBOUNDED PRECEDING))",
        ]

    def _features_of_key(self, name: str) -> list[str]:
        """The features of one key, from the joined tables of its running sums."""
        features, latest = [], f"p_{name}_0"
        for d, decay in enumerate(self.decays):
            factor = decay.factors_sql("e.t")
            events = f"coalesce({latest}.n_{d}, 0) * {factor}"
            features.append(f"ln(1 + {events})" if self.spec.log else events)
            for j in range(len(events_of(self.spec.parents))):
                past, of_all = self._past(name, j), self._past("all", j)
                positives, trials = (f"coalesce({past}.{what}{j}_{d}, 0)" for what in ("positives", "trials"))
                # Without smoothing the factor cancels out; and long after the log it underflows to 0.
                if self.spec.smoothing:
                    overall = f"{of_all}.positives{j}_0 / nullif({of_all}.trials{j}_0, 0)"
                    positives = f"{positives} * {factor} + {self.spec.smoothing} * {overall}"
                    trials = f"{trials} * {factor} + {self.spec.smoothing}"
                features.append(f"({positives}) / nullif({trials}, 0)")
        seconds = f"(e.t - {latest}.t) / 1e9"
        features.append(f"ln(1 + {seconds})" if self.spec.log else seconds)
        return features
