"""The count by OpenDP's polars layer. Gaussian noise there is asked for in rho."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import opendp.prelude as dp
import polars as pl

from benchmarks.peers.rounds import answer, job

dp.enable_features("contrib")


def main() -> None:
    """`python -m benchmarks.peers.opendp_polars FOLDER`."""
    terms = job()
    rows = pl.LazyFrame({"person": terms.person, "cell": terms.cell})
    cells = pl.LazyFrame({"cell": np.arange(terms.cells, dtype=np.uint32)})

    def count() -> Mapping[int, float]:
        context = dp.Context.compositor(
            data=rows,
            privacy_unit=dp.unit_of(contributions=1, identifier="person"),
            privacy_loss=dp.loss_of(rho=terms.rho),
            split_evenly_over=1,
        )
        query = context.query().truncate_per_group(terms.rows_a_person).group_by("cell").agg(dp.len(signed=True)).with_keys(cells)
        return dict(query.release().collect().iter_rows())

    answer(count)


if __name__ == "__main__":
    main()
