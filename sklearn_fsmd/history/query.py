"""The past of each row of a log as one query of DuckDB, which reads files and needs no memory for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sklearn_fsmd.encoding import events_of
from sklearn_fsmd.history.decay import MOST_HALF_LIVES, Decay
from sklearn_fsmd.history.past import Questions


@dataclass(frozen=True)
class Labels:
    """The targets of the rows, in SQL.

    Parameters
    ----------
    targets : columns of the log.
    parents : of each target, as in the link.
    """

    targets: Sequence[str]
    parents: Sequence[int | None]

    def of_rows(self) -> tuple[list[str], list[str]]:
        """For each target its label, 0 where there is none, and whether it is known, as 1 or 0."""
        values = [f"coalesce({quoted(name)}::DOUBLE, 0)" for name in self.targets]
        known = [f"({quoted(name)} IS NOT NULL)" for name in self.targets]
        for k, parent in enumerate(self.parents):
            if parent is not None:  # a step after an observed 0 is an observed 0
                known[k] = f"({known[k]} OR ({known[parent]} AND {values[parent]} = 0))"
        return values, [f"{one}::DOUBLE" for one in known]

    def contradictions(self) -> dict[int, str]:
        """For each step the number of rows in which it has happened after one that has not."""
        values, known = self.of_rows()
        steps = [(k, parent) for k, parent in enumerate(self.parents) if parent is not None]
        return {k: f"sum({known[p]} * (1 - {values[p]}) * {values[k]})" for k, p in steps}


@dataclass(frozen=True)
class Query:
    """Says in SQL what :class:`~sklearn_fsmd.history.past.Past` says in numpy.

    Parameters
    ----------
    questions : what is to be told.
    decays : one for each half-life.
    names : of the columns that are told.
    source : a SELECT with the columns of the log and ``_row``, the place of a row.
    time : the nanoseconds of a row, in SQL.
    targets : columns of the log.
    keys : for each column of a key, its value in SQL; NULL where it is missing.
    """

    questions: Questions
    decays: Sequence[Decay]
    names: Sequence[str]
    source: str
    time: str
    targets: Sequence[str]
    keys: dict[str, str]

    def text(self, drop: Sequence[str]) -> str:
        """The whole query: all columns of the log but `drop`, and those that are told, in the order of the rows."""
        keys = [tuple(map(str, key)) for key in self.questions.keys]
        steps = [f"log AS ({self.source})", f"events AS ({self._events()})", *self._upto("all", (), [None])]
        joins = ["ASOF LEFT JOIN upto_all AS p_all ON e._before >= p_all._t"]
        told = []
        for i, key in enumerate(keys):
            steps += self._upto(str(i), key, self.decays)
            same = " AND ".join(f"e.{self._key(name)} = p_{i}.{self._key(name)}" for name in key)
            joins.append(f"ASOF LEFT JOIN upto_{i} AS p_{i} ON {same} AND e._before >= p_{i}._t")
            told += self._told(f"p_{i}")
        columns = ", ".join(f"({sql})::FLOAT AS {quoted(name)}" for sql, name in zip(told, self.names, strict=True))
        own = ["_row", "_t", "_before", *self._amounts(), *map(self._key, self.keys), *map(quoted, drop)]
        return (
            f"WITH {', '.join(steps)} SELECT e.* EXCLUDE ({', '.join(dict.fromkeys(own))}), {columns} "
            f"FROM events AS e {' '.join(joins)} ORDER BY e._row"
        )

    def _events(self) -> str:
        """The log, with times, amounts and keys."""
        columns = {"_t": self.time, "_before": f"{self.time} - {self.questions.delay}", **self._amounts()}
        columns |= {self._key(name): value for name, value in self.keys.items()}
        return f"SELECT *, {', '.join(f'{sql} AS {name}' for name, sql in columns.items())} FROM log"

    def _amounts(self) -> dict[str, str]:
        """What an event adds to the sums."""
        values, known = Labels(self.targets, self.questions.parents).of_rows()
        amounts = {"_n": "1.0::DOUBLE"}
        for j, (k, parent) in enumerate(events_of(self.questions.parents)):
            tried = known[k] if parent is None else f"{known[k]} * {known[parent]} * {values[parent]}"
            amounts |= {f"_tried{j}": tried, f"_yes{j}": f"{tried} * {values[k]}"}
        return amounts

    def _upto(self, name: str, key: Sequence[str], decays: Sequence[Decay | None]) -> list[str]:
        """The sums over the events of each value of a key up to each of its moments."""
        sums = {
            f"{amount}_{d}": f"sum({amount}{'' if decay is None else decay.sql('_t')})"
            for d, decay in enumerate(decays)
            for amount in self._amounts()
        }
        own = [self._key(column) for column in key]
        where = " AND ".join(f"{column} IS NOT NULL" for column in own) or "true"
        moments = f"SELECT {', '.join([*own, '_t', *(f'{sql} AS {one}' for one, sql in sums.items())])} FROM events"
        by = f"PARTITION BY {', '.join(own)}" if own else ""
        running = ", ".join(f"sum({one}) OVER past AS {one}" for one in sums)
        return [
            f"moments_{name} AS ({moments} WHERE {where} GROUP BY {', '.join([*own, '_t'])})",
            f"upto_{name} AS (SELECT {', '.join([*own, '_t'])}, {running} FROM moments_{name} "
            f"WINDOW past AS ({by} ORDER BY _t ROWS UNBOUNDED PRECEDING))",
        ]

    def _told(self, past: str) -> list[str]:
        """The columns of one key, from its sums."""
        told = []
        for d, decay in enumerate(self.decays):
            events = f"coalesce({past}._n_{d}, 0) * {worth(decay)}"
            told.append(f"ln(1 + {events})" if self.questions.log else events)
            for j in range(len(events_of(self.questions.parents))):
                yes, tried = (f"coalesce({past}._{what}{j}_{d}, 0) * {worth(decay)}" for what in ("yes", "tried"))
                if self.questions.smoothing:
                    overall = f"p_all._yes{j}_0 / nullif(p_all._tried{j}_0, 0)"
                    yes, tried = (
                        f"{yes} + {self.questions.smoothing} * {overall}",
                        f"{tried} + {self.questions.smoothing}",
                    )
                told.append(f"({yes}) / nullif({tried}, 0)")
        seconds = f"(e._t - {past}._t) / 1e9"
        told.append(f"ln(1 + {seconds})" if self.questions.log else seconds)
        return told

    def _key(self, name: str) -> str:
        return quoted(f"_key_{name}")


def worth(decay: Decay) -> str:
    """The factor that brings sums to the time of a row."""
    if decay.half_life is None:
        return "1"
    lives = f"({decay.reference} - e._t) / {float(decay.half_life)}"
    return f"pow(2.0, greatest({-MOST_HALF_LIVES}, least({MOST_HALF_LIVES}, {lives})))"


def quoted(name: str) -> str:
    """A name of a column in SQL."""
    return '"' + name.replace('"', '""') + '"'
