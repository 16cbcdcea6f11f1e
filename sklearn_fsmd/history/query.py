"""The past of each event of a table as one query of DuckDB, which needs no memory for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sklearn_fsmd.encoding import events_of
from sklearn_fsmd.history.decay import Decay
from sklearn_fsmd.history.past import Questions


@dataclass(frozen=True)
class Query:
    """Says in SQL what :class:`~sklearn_fsmd.history.past.Past` says in numpy, of the table of ``Events``.

    Parameters
    ----------
    questions : what is to be told.
    decays : one for each half-life.
    columns : those that keys consist of.
    """

    questions: Questions
    decays: Sequence[Decay]
    columns: Sequence[str]

    def text(self) -> str:
        """The whole query: the columns that are told, in the order of the rows."""
        steps, told = self._upto("all", (), [Decay(None, 0)]), []
        joins = [f"ASOF LEFT JOIN upto_all AS p_all ON e.t - {self.questions.delay} >= p_all.t"]
        for i, key in enumerate(self.questions.keys):
            own = [f"k{self.columns.index(name)}" for name in key]
            steps += self._upto(str(i), own, self.decays)
            same = " AND ".join(f"e.{column} = p_{i}.{column}" for column in own)
            joins.append(f"ASOF LEFT JOIN upto_{i} AS p_{i} ON {same} AND e.t - {self.questions.delay} >= p_{i}.t")
            told += self._told(f"p_{i}")
        columns = ", ".join(f"({sql})::FLOAT AS told{j}" for j, sql in enumerate(told))
        return f"WITH {', '.join(steps)} SELECT {columns} FROM log AS e {' '.join(joins)} ORDER BY e.row"

    @property
    def _amounts(self) -> dict[str, str]:
        """What an event adds to the sums."""
        counted = [f"{what}{j}" for j in range(len(events_of(self.questions.parents))) for what in ("tried", "yes")]
        return {"n": "1.0::DOUBLE"} | {name: f"{name}::DOUBLE" for name in counted}

    def _upto(self, name: str, key: Sequence[str], decays: Sequence[Decay]) -> list[str]:
        """The sums over the events of each value of a key up to each of its moments."""
        sums = {
            f"{amount}_{d}": f"sum({sql} * {decay.weights_sql('t')})"
            for d, decay in enumerate(decays)
            for amount, sql in self._amounts.items()
        }
        where = " AND ".join(f"{column} IS NOT NULL" for column in key) or "true"
        moments = f"SELECT {', '.join([*key, 't', *(f'{sql} AS {one}' for one, sql in sums.items())])} FROM log"
        by = f"PARTITION BY {', '.join(key)}" if key else ""
        running = ", ".join(f"sum({one}) OVER past AS {one}" for one in sums)
        return [
            f"moments_{name} AS ({moments} WHERE {where} GROUP BY {', '.join([*key, 't'])})",
            f"upto_{name} AS (SELECT {', '.join([*key, 't'])}, {running} FROM moments_{name} "
            f"WINDOW past AS ({by} ORDER BY t ROWS UNBOUNDED PRECEDING))",
        ]

    def _told(self, past: str) -> list[str]:
        """The columns of one key, from its sums."""
        told = []
        for d, decay in enumerate(self.decays):
            events = f"coalesce({past}.n_{d}, 0) * {decay.worth_sql('e.t')}"
            told.append(f"ln(1 + {events})" if self.questions.log else events)
            for j in range(len(events_of(self.questions.parents))):
                yes, tried = (f"coalesce({past}.{what}{j}_{d}, 0)" for what in ("yes", "tried"))
                if self.questions.smoothing:  # without it the factor cancels, and long after the log it is 0
                    yes, tried = f"{yes} * {decay.worth_sql('e.t')}", f"{tried} * {decay.worth_sql('e.t')}"
                    overall = f"p_all.yes{j}_0 / nullif(p_all.tried{j}_0, 0)"
                    yes, tried = (
                        f"{yes} + {self.questions.smoothing} * {overall}",
                        f"{tried} + {self.questions.smoothing}",
                    )
                told.append(f"({yes}) / nullif({tried}, 0)")
        seconds = f"(e.t - {past}.t) / 1e9"
        told.append(f"ln(1 + {seconds})" if self.questions.log else seconds)
        return told
