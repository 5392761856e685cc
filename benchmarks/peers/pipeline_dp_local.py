"""The count by PipelineDP's local backend. Its rows are Python tuples, made beforehand."""

from __future__ import annotations

from collections.abc import Mapping

import pipeline_dp

from benchmarks.peers.rounds import answer, job


def main() -> None:
    """`python -m benchmarks.peers.pipeline_dp_local FOLDER`."""
    terms = job()
    rows = list(zip(terms.person.tolist(), terms.cell.tolist(), strict=True))
    cells = list(range(terms.cells))
    extractors = pipeline_dp.DataExtractors(
        privacy_id_extractor=lambda row: row[0], partition_extractor=lambda row: row[1], value_extractor=lambda _: 1
    )
    parameters = pipeline_dp.AggregateParams(
        metrics=[pipeline_dp.Metrics.COUNT], noise_kind=pipeline_dp.NoiseKind.GAUSSIAN, max_contributions=terms.rows_a_person
    )

    def count() -> Mapping[int, float]:
        accountant = pipeline_dp.NaiveBudgetAccountant(total_epsilon=terms.epsilon, total_delta=terms.delta)
        engine = pipeline_dp.DPEngine(accountant, pipeline_dp.LocalBackend())
        noisy = engine.aggregate(rows, parameters, extractors, public_partitions=cells)
        accountant.compute_budgets()
        return {cell: metrics.count for cell, metrics in noisy}

    answer(count)


if __name__ == "__main__":
    main()
