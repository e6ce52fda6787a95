"""The connector as a library: search an index, read the hits and why they are where they are.

connector ingest examples/corpus && connector worker &
python examples/library.py "how long does a registered deal last for a tier-2 partner"
"""

from __future__ import annotations

import sys

from connector import SyncConnector


def main() -> None:
    query = " ".join(sys.argv[1:]) or "how long does a registered deal last for a tier-2 partner"
    with SyncConnector.open() as connector:  # settings from connector.yaml and CONNECTOR_*
        response = connector.search(query, filter={"range": {"date": {"gte": "2024-01-15"}}}, k=3)
    for hit in response.hits:
        ranks = ", ".join(f"{leg} {place.rank}" for leg, place in hit.explain.legs.items())
        print(f"{hit.rank}. {hit.fields['title']} [{hit.stage}; {ranks}; fused {hit.explain.fused_rank}]")
        print(f"   {' '.join(hit.passage.text.split())[:160] if hit.passage else ''}")
    for missing in response.degraded:
        print(f"degraded: {missing.stage}: {missing.reason}", file=sys.stderr)


if __name__ == "__main__":
    main()
