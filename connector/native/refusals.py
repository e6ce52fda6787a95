"""What an engine's refusals mean to whoever installs the worker there, and what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from connector.errors import ClusterError

INSTEAD = "search through the query layer instead, which needs nothing of the kind: connector search"
NO_HANDLER = re.compile(r"no handler found for uri|incorrect http method for uri|no such (?:api|route)", re.IGNORECASE)
FROM_WORKER = re.compile(r"Error from remote service: (?P<reason>.*?)(?: \(HTTP \d+\)|$)", re.DOTALL)
USERS_NAMED = re.compile(r"still using this connector.*?: \[(?P<models>[^\]]*)\]", re.DOTALL)
UNREACHABLE = re.compile(
    r"Error communicating with remote model|Connect(?:ion)? (?:refused|timed out|reset)|Connect to .* failed|"
    r"UnknownHost|"
    r"validation call to service threw|No route to host|timed out|Name or service not known",
    re.IGNORECASE,
)

REMOTE_ROLES = "task_dispatcher.eligible_node_role.remote_model"  # only_run_on_ml_node is about models of the nodes


def explain_opensearch(error: ClusterError, worker_url: str) -> ClusterError:
    """The same error with what to do about it."""
    message = str(error)
    if "trusted connector endpoint" in message:
        endpoints = _settings("trusted_connector_endpoints_regex", [_pattern(worker_url)])
        return _advised(
            error,
            f"let the cluster call it: PUT /_cluster/settings {endpoints}; "
            "the list replaces the one that is there, so repeat what else is called",
        )
    if "private ip" in message:
        return _advised(
            error,
            "the worker is on a private address, which the cluster calls only when told to: "
            f"PUT /_cluster/settings {_settings('connector.private_ip_enabled', True)}",
        )
    if re.search(r"No eligible node|no ml node|only_run_on_ml_node", message, re.IGNORECASE):
        return _advised(
            error,
            "no node may call remote models: start one with a role that may, or let every data node call them: "
            f"PUT /_cluster/settings {_settings(REMOTE_ROLES, ['data', 'ml'])}",
        )
    if re.search(r"model.?group|privilege to perform this operation on this model", message, re.IGNORECASE):
        return _advised(
            error, "use a model group that these credentials may use: --model-group ID, or ask its owner for access"
        )
    if re.search(r"(combination|normalization) technique is not supported", message):
        return _advised(
            error,
            "OpenSearch 2.19 fuses by ranks without weights, or by min-max: the same search.legs.NAME.weight, "
            "search.fusion.normalisation=minmax",
        )
    if NO_HANDLER.search(message):
        return ClusterError(
            f"this OpenSearch has no ML Commons ({message}); install the plugin opensearch-ml (it is part of the "
            f"default distribution) on every node, or {INSTEAD}",
            status=error.status,
        )
    if "master key" in message:
        return _advised(error, "ML Commons is still making its key; run the same command again in a few seconds")
    if error.status == 403:
        return _advised(
            error, "the role ml_full_access has what ML Commons asks for, and manage_pipelines the pipelines"
        )
    return error


def explain_trial(error: ClusterError, worker_url: str) -> ClusterError:
    """The error of a cluster that was told to call the worker."""
    message = str(error)
    if found := FROM_WORKER.search(message):
        return ClusterError(
            f"the cluster reached {worker_url}, which refused: {found['reason'][:300]}; "
            "401: set rerankers.NAME.api_key to one of its worker.api_keys; 404: it is no worker, or an older one "
            "(--no-embeddings leaves /v1/embeddings out); 503: it is still loading its model",
            status=error.status,
        )
    advised = explain_opensearch(error, worker_url)
    if advised is error and UNREACHABLE.search(message):
        return unreachable(error, worker_url)
    return advised


def read_users(error: ClusterError) -> set[str]:
    """The models that ML Commons says a connector is used by."""
    found = USERS_NAMED.search(str(error))
    return {model.strip() for model in found["models"].split(",")} if found else set()


def explain_other_users(error: ClusterError, connector_id: str, ours: Collection[str]) -> ClusterError:
    """The refusal to change a connector, where it is for models that are not of the index."""
    others = sorted(read_users(error) - {*ours})
    if not others:
        return error
    first = f"/_plugins/_ml/models/{others[0]}"
    return _advised(
        error,
        f"ML Commons finds the models of connector {connector_id} by the words of its id, and so takes "
        f"{', '.join(others)} for some of them, which are not of this index; for as long as this takes: POST "
        f"{first}/_undeploy, then run the same command again, then POST {first}/_deploy",
    )


def explain_kept(kept: Mapping[str, ClusterError]) -> ClusterError:
    """The refusals to delete connectors, by their ids, of which no model is left, for models that are not of the
    index."""
    others = ", ".join(sorted({model for error in kept.values() for model in read_users(error)}))
    return _advised(
        next(iter(kept.values())),
        f"all else of the index is taken out; for as long as there is {others}, which is not of this index, there is "
        f"connector {', '.join(kept)}: ML Commons finds the models of a connector by the words of its id, so that "
        "models of others count too; when it is gone, run the same command again",
    )


def explain_elasticsearch(error: ClusterError, worker_url: str) -> ClusterError:
    """The same error with what to do about it."""
    message = str(error)
    if NO_HANDLER.search(message):
        return ClusterError(
            f"this Elasticsearch has no inference API ({message}); it is part of the default distribution and needs an "
            f"Enterprise licence, or a trial; {INSTEAD}",
            status=error.status,
        )
    if "non-compliant" in message:
        return ClusterError(
            f"the licence of this Elasticsearch does not cover the inference API ({message}); it needs an Enterprise "
            f"licence, or a trial of 30 days (POST /_license/start_trial?acknowledge=true); {INSTEAD}",
            status=error.status,
        )
    if UNREACHABLE.search(message):
        return unreachable(error, worker_url)
    if error.status == 403:
        return _advised(error, "inference endpoints need the cluster privilege manage_inference")
    return error


def unreachable(error: ClusterError, worker_url: str) -> ClusterError:
    """The error of a cluster that cannot call the worker."""
    return _advised(
        error,
        f"the cluster itself calls {worker_url}: name an address that its nodes reach with --worker-url, and let the "
        "worker listen there: connector worker --host 0.0.0.0",
    )


def _advised(error: ClusterError, advice: str) -> ClusterError:
    return type(error)(f"{error}; {advice}", status=error.status)


def _settings(name: str, value: object) -> str:
    return json.dumps({"persistent": {f"plugins.ml_commons.{name}": value}})


def _pattern(worker_url: str) -> str:
    """The regular expression of a worker's addresses."""
    parts = urlsplit(worker_url)
    return f"^{re.escape(f'{parts.scheme}://{parts.netloc}')}/.*$"
