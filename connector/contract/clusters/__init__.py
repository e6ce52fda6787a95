"""What every cluster promises (`Cluster` and `Index` in connector/clusters/protocol.py)."""

from connector.contract.clusters.dense import DenseContract
from connector.contract.clusters.filters import FiltersContract
from connector.contract.clusters.indices import IndicesContract
from connector.contract.clusters.lexical import LexicalContract, LexicalPageContract
from connector.contract.clusters.terms import TermStatisticsContract
from connector.contract.clusters.writing import WritingContract


class ClusterContract(
    IndicesContract,
    WritingContract,
    FiltersContract,
    DenseContract,
    LexicalContract,
    LexicalPageContract,
    TermStatisticsContract,
):
    """Inherit it, and give the fixture `store`: the section `cluster` of the settings that leads to the cluster.
    Override `connect` where the plug-in needs settings of its own."""
